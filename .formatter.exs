# Macros of tests read like sentences.
assertions = [
  assert_called: 1,
  assert_called: 2,
  refute_called: 1,
  refute_called: 2,
  assert_state: 2,
  assert_state: 3,
  assert_message: 2,
  assert_message: 3,
  refute_message: 2,
  refute_message: 3,
  assert_exited: 2,
  assert_exited: 3,
  assert_flow: 1,
  assert_flow: 2,
  refute_flow: 1,
  refute_flow: 2,
  assert_never: 1,
  assert_never: 2,
  assert_invariant: 2,
  assert_snapshot: 2,
  assert_snapshot: 3
]

[
  line_length: 110,
  locals_without_parens: assertions,
  export: [locals_without_parens: assertions],
  inputs: [
    "{mix,.formatter}.exs",
    "native/*.exs",
    "{config,lib,test,bench}/**/*.{ex,exs}",
    "docs/examples/*/{mix,.formatter}.exs",
    "docs/examples/*/{config,lib,test,bench}/**/*.{ex,exs}"
  ]
]
