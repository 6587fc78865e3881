[
  line_length: 110,
  inputs: [
    "{mix,.formatter}.exs",
    "native/*.exs",
    "{config,lib,test,bench}/**/*.{ex,exs}",
    "docs/examples/*/{mix,.formatter}.exs",
    "docs/examples/*/{config,lib,test,bench}/**/*.{ex,exs}"
  ]
]
