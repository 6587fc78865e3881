# What the tests of earmark_parser build their expectations with comes from a package that Debian does not have. This makes
# most of the same nodes; where it does not, a test fails alike with and without instrumentation.
defmodule EarmarkAstDsl do
  @moduledoc false

  def tag(name, content \\ [], attributes \\ [], meta \\ %{}),
    do: {to_string(name), attributes(attributes), List.wrap(content), meta}

  def tags(name, contents), do: Enum.map(List.wrap(contents), &tag(name, &1))

  def void_tag(name, attributes \\ [], meta \\ %{}), do: tag(name, [], attributes, meta)

  def vtag(name, content \\ [], attributes \\ []), do: tag(name, content, attributes, %{verbatim: true})

  def vtag_annotated(name, content, annotation, attributes \\ []),
    do: tag(name, content, attributes, %{verbatim: true, annotation: annotation})

  def pre_code(content, attributes \\ []), do: tag("pre", tag("code", content, attributes))

  for name <- ~w(p li ul ol div blockquote)a do
    def unquote(name)(content \\ [], attributes \\ []), do: tag(unquote(name), content, attributes)
  end

  # No default: some tests have an a/1 of their own.
  def a(content, attributes, meta \\ %{}), do: tag("a", content, attributes, meta)

  def p_annotated(content, annotation), do: tag("p", content, [], %{annotation: annotation})

  def inline_code(content, attributes), do: tag("code", content, attributes)

  def table(rows, options \\ []) do
    body = for row <- List.wrap(rows), do: tag("tr", for(cell <- List.wrap(row), do: tag("td", cell)))
    tag("table", tag("tbody", body), Keyword.delete(options, :head))
  end

  defp attributes(attributes), do: for({key, value} <- attributes, do: {to_string(key), to_string(value)})
end

# Not there either, and asked by few tests.
defmodule Floki do
  @moduledoc false
  def parse_fragment(_html), do: {:error, "no Floki here"}
end
