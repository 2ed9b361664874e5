/**
 * The lint that needs types. Formatting and cheap rules are Biome's, structure is `tools/tidy`'s;
 * here are only the rules that find lost promises, forgotten switch branches and hidden `any`.
 * A disable needs its reason on the line: `// eslint-disable-next-line <rule> -- <reason>`.
 */
import tseslint from 'typescript-eslint';

const NODE_TEST_CALLS = ['test', 'it', 'describe', 'suite'];

export default tseslint.config(
  { ignores: ['node_modules/', '.cache/', 'coverage/', 'tmp/', '**/*.js'] },
  {
    files: ['**/*.ts'],
    languageOptions: {
      parser: tseslint.parser,
      parserOptions: { project: './tsconfig.json', tsconfigRootDir: import.meta.dirname },
    },
    linterOptions: { reportUnusedDisableDirectives: 'error' },
    plugins: { '@typescript-eslint': tseslint.plugin },
    rules: {
      '@typescript-eslint/no-floating-promises': [
        'error',
        {
          ignoreVoid: true,
          allowForKnownSafeCalls: [
            { from: 'package', package: 'node:test', name: NODE_TEST_CALLS },
          ],
        },
      ],
      '@typescript-eslint/no-misused-promises': 'error',
      '@typescript-eslint/switch-exhaustiveness-check': [
        'error',
        { considerDefaultExhaustiveForUnions: true },
      ],
      '@typescript-eslint/consistent-type-imports': 'error',
      '@typescript-eslint/no-explicit-any': 'error',
      '@typescript-eslint/only-throw-error': ['error', { allowThrowingUnknown: true }],
      '@typescript-eslint/prefer-readonly': 'error',
      '@typescript-eslint/no-unnecessary-condition': [
        'error',
        { allowConstantLoopConditions: 'only-allowed-literals' },
      ],
    },
  },
  {
    // A test changes its variables from callbacks, which narrowing cannot see.
    files: ['**/*.test.ts', 'test/**/*.ts'],
    rules: { '@typescript-eslint/no-unnecessary-condition': 'off' },
  },
);
