locals = [
  assert_called: 1,
  refute_called: 1,
  assert_flow: 1,
  assert_flow: 2,
  refute_flow: 1,
  assert_never: 1,
  assert_invariant: 2,
  assert_snapshot: 2,
  assert_snapshot: 3
]

[
  line_length: 110,
  locals_without_parens: locals,
  export: [locals_without_parens: locals],
  inputs: [
    "{mix,.formatter}.exs",
    "native/*.exs",
    "{config,lib,test,bench}/**/*.{ex,exs}",
    "docs/examples/*/{mix,.formatter}.exs",
    "docs/examples/*/{config,lib,test,bench}/**/*.{ex,exs}"
  ]
]
