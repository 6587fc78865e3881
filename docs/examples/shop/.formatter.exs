[
  line_length: 110,
  inputs: ["{mix,.formatter,.iex}.exs", "{config,lib,test}/**/*.{ex,exs}"]
]
