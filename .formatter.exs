[
  line_length: 110,
  locals_without_parens: [assert_called: 1, refute_called: 1],
  export: [locals_without_parens: [assert_called: 1, refute_called: 1]],
  inputs: [
    "{mix,.formatter}.exs",
    "native/*.exs",
    "{config,lib,test,bench}/**/*.{ex,exs}",
    "docs/examples/*/{mix,.formatter}.exs",
    "docs/examples/*/{config,lib,test,bench}/**/*.{ex,exs}"
  ]
]
