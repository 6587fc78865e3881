defmodule ElixirScope.Frameworks.Arguments do
  @moduledoc false
  # Texts without the arguments of calls in stacks. A stack has them where no clause of a function matched, or where there is no such function;
  # in a text nothing says what they are called. Also those of a task and of the start of a child, and what `Exception.blame/3` lists.
  #
  # It runs in the process that writes the line, so it calls `:re`, `:binary` and `:persistent_term` alone. A text has a stack only where it has lines that
  # are indented, or a place in a file.

  @signs ["\n    ", "[{file", "[file: "]

  @patterns [
    # A line of a stack: `    (shop 1.0.0) lib/shop/auth.ex:3: Shop.Auth.check("ann", "x")`, to the line that follows it.
    {"(?ms)^([ ]{4,}(?:\\([^()\\n]+\\) )?(?:[^\\s:()]+:\\d+: )?(?:[A-Z:][^\\s(]*|#Function<[^>\\n]*>\\.))\\((?!\\.\\.\\.\\)).+?\\)(?=\\n[ ]{4}[^ ]|\\n[^ ]|\\n?\\z)",
     "\\1(...)"},
    # `lib/shop/auth.ex:3: anonymous fn("x") in Shop.Auth.check/2`
    {"(?ms)^([ ]{4,}[^\\n]*?\\banonymous fn)\\((?!\\.\\.\\.\\)).+?\\)( in [^\\n]+/\\d+)$", "\\1(...)\\2"},
    {"(?ms)(\\bStart Call: [^\\s(]+)\\((?!\\.\\.\\.\\)).+?\\)$", "\\1(...)"},
    {"(?s)(\\bFunction: [^\\n]+\\n\\s*Args: )\\[.*?\\](?=\\n\\S|\\s*\\z)", "\\1[...]"},
    {"(?s)(The following arguments were given to [^\\n]+:)\\s.*?(?=\\n\\s*Attempted |\\n\\s*\\(|\\n\\n\\S|\\z)",
     "\\1 ...\n"},
    # A frame as a term, also one that is spread over lines.
    {"(?s)(\\{[^\\s,{}\\[\\]]+,\\s*:?[^\\s,{}\\[\\]]+,\\s*)\\[(?!\\.\\.\\.\\])(?!\\]).*?\\](?=,\\s*\\[(?:\\{?file|\\{?error_info|\\]))",
     "\\1[...]"}
  ]

  @doc ~S"""
  The text without them.

      iex> ElixirScope.Frameworks.Arguments.dropped("** (E) no\n    (shop 1.0.0) lib/auth.ex:3: Auth.check(\"ann\", \"x\")\n    Auth.go/1\n")
      "** (E) no\n    (shop 1.0.0) lib/auth.ex:3: Auth.check(...)\n    Auth.go/1\n"
      iex> ElixirScope.Frameworks.Arguments.dropped("{auth,check,[<<\"ann\">>,<<\"x\">>],[{file,\"auth.erl\"},{line,3}]}")
      "{auth,check,[...],[{file,\"auth.erl\"},{line,3}]}"
      iex> ElixirScope.Frameworks.Arguments.dropped("** (E)\n    lib/a.ex:3: anonymous fn(\"x\", 1) in Auth.check/2\n    b")
      "** (E)\n    lib/a.ex:3: anonymous fn(...) in Auth.check/2\n    b"
      iex> ElixirScope.Frameworks.Arguments.dropped("Shop.sell(:tea)")
      "Shop.sell(:tea)"
  """
  @spec dropped(String.t()) :: String.t()
  def dropped(text) do
    case :binary.match(text, signs()) do
      :nomatch -> text
      _found -> dropped(text, @patterns)
    end
  end

  # Made once: making it takes longer than a search in a line.
  defp signs do
    with nil <- :persistent_term.get(__MODULE__, nil) do
      signs = :binary.compile_pattern(@signs)
      :persistent_term.put(__MODULE__, signs)
      signs
    end
  end

  defp dropped(text, []), do: text

  defp dropped(text, [{pattern, replacement} | rest]),
    do: text |> :re.replace(pattern, replacement, [:global, {:return, :binary}]) |> dropped(rest)
end
