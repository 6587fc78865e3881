defmodule ElixirScope.Frameworks.Reasons do
  @moduledoc false
  # Lines of the log about functions of which nothing is recorded (`functions:` of `redact:`): what such a function raises may be made of
  # what it was given, so of a line whose stack names one the reason is left out.
  #
  # It runs in the process that writes the line, and costs nothing where no such function is named in the rules.

  @mark "[redacted]"

  # Up to a line of a stack, to what stands behind one in a report, or to the end.
  @banner "(?s)(\\*\\* \\([^\\n]*?\\) ).*?(?=\\n\\s{4,}(?:\\([^()\\n]+\\) )?[^\\s:()]+:\\d+: |" <>
            "\\n(?:Last message|State|Function|Args|Initial Call|Ancestors|Start Call|Neighbours|Queue|Postponed)\\b|\\z)"

  # A frame as a term need not end where a reason does: of such a line nothing is kept but who it is about.
  @head "(?s)\\A(Error in process [^\\n]*\\n)?.*\\z"

  @type t :: %{functions: [mfa], line: binary, term: binary} | nil

  @doc "What to look for; `nil`: nothing."
  @spec read([mfa]) :: t
  def read([]), do: nil

  def read(functions),
    do: %{functions: functions, line: any(functions, &line/1), term: any(functions, &term/1)}

  defp any(functions, pattern), do: Enum.map_join(functions, "|", pattern)

  # `Shop.Vault.open/2`, `Shop.Vault.open("x")`.
  defp line({module, function, arity}) do
    shown = module |> Exception.format_mfa(function, arity) |> String.replace_suffix("/#{arity}", "")
    Regex.escape(shown) <> "[/(]"
  end

  # `{Shop.Vault, :open, 2, [...]}`, and as Erlang writes it, also in the words of its reports: `'Elixir.Shop.Vault':open/2`.
  defp term({module, function, arity}) do
    within = "\"?'?-#{Regex.escape("#{function}/#{arity}")}-[^,]*"

    [module_names, names] =
      for atom <- [module, function], do: "(?:#{escaped(inspect(atom))}|#{escaped(written(atom))})"

    "\\{\\s*#{module_names},\\s*(?:#{names}|:?#{within}),\\s*[\\d\\[]|#{escaped(written(module))}:(?:#{names}|#{within})/"
  end

  defp escaped(text), do: Regex.escape(text)
  defp written(atom), do: "~p" |> :io_lib.format([atom]) |> List.to_string()

  @doc "The line, and its metadata, without the reason if it is about one of them. `cut?`: a part of the text is missing."
  @spec dropped(binary, map, boolean, t) :: {binary, map}
  def dropped(text, metadata, _cut?, nil), do: {text, metadata}

  def dropped(text, metadata, cut?, known) do
    crash = about(metadata, known)

    cond do
      found?(text, known.term) ->
        {replaced(text, @head, "\\1" <> @mark), without(metadata)}

      crash != nil or cut? or found?(text, known.line) ->
        {text |> unsaid(crash) |> banners(), without(metadata)}

      true ->
        {text, metadata}
    end
  end

  defp banners(text), do: replaced(text, @banner, "\\1" <> @mark)

  # The message of an exception may stand in any words.
  defp unsaid(text, %{__exception__: true} = exception) do
    case Exception.message(exception) do
      "" -> text
      message -> :binary.replace(text, message, @mark, [:global])
    end
  end

  defp unsaid(text, _other), do: text

  # With the message of an exception in a part of a text that is no UTF-8 there is nothing to be found by `:re` but bytes.
  defp found?(text, pattern), do: :re.run(text, pattern, [{:capture, :none}]) == :match
  defp replaced(text, pattern, by), do: :re.replace(text, pattern, by, [:global, {:return, :binary}])

  # The reason, if the stack beside it names one.
  defp about(%{crash_reason: {reason, stack}}, known) when is_list(stack),
    do: if(Enum.any?(stack, &frame?(&1, known.functions)), do: reason)

  defp about(_metadata, _known), do: nil

  defp frame?({module, function, arguments, _place}, functions) when is_atom(function) do
    arity = arity(arguments)

    Enum.any?(functions, fn {of, name, count} ->
      of == module and
        ((name == function and count == arity) or
           String.starts_with?(Atom.to_string(function), "-#{name}/#{count}-"))
    end)
  end

  defp frame?(_other, _functions), do: false

  defp without(%{crash_reason: {reason, stack}} = metadata) when is_list(stack),
    do: %{metadata | crash_reason: {kind(reason), Enum.map(stack, &bare/1)}}

  defp without(%{crash_reason: _other} = metadata), do: %{metadata | crash_reason: :redacted}
  defp without(metadata), do: metadata

  defp kind(%{__exception__: true, __struct__: module}), do: module
  defp kind(_other), do: :redacted

  defp bare({module, function, arguments, place}), do: {module, function, arity(arguments), place}
  defp bare(other), do: other

  defp arity(arguments) when is_list(arguments), do: length(arguments)
  defp arity(arity), do: arity
end
