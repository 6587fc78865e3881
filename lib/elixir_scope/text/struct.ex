defmodule ElixirScope.Text.Struct do
  @moduledoc false
  # Structs that were not recorded whole, as they stand within any term. Of those with a view the fields that it leaves out are
  # counted, not shown; and an `Inspect` that stumbles over what was kept out of its struct does not take the rest with it.

  import Inspect.Algebra

  alias ElixirScope.Cut

  @doc "For `inspect_fun:` of `Inspect.Opts`."
  @spec document(term, Inspect.Opts.t()) :: Inspect.Algebra.t()
  def document(%Cut{} = cut, opts), do: usual(cut, opts)

  def document(%module{} = struct, opts) do
    fields = struct |> Map.drop([:__struct__, :__exception__]) |> Enum.sort()

    case Enum.split_with(fields, &match?({_field, %Cut{kind: :left_out}}, &1)) do
      {[], fields} -> own(struct, fields, opts)
      {left_out, fields} -> plain(module, fields, length(left_out), opts)
    end
  end

  def document(term, opts), do: usual(term, opts)

  defp own(%module{} = struct, fields, opts) do
    usual(struct, opts)
  rescue
    error ->
      if Enum.any?(fields, &match?({_field, %Cut{}}, &1)),
        do: plain(module, fields, 0, opts),
        else: reraise(error, __STACKTRACE__)
  end

  defp usual(term, opts), do: Inspect.Opts.default_inspect_fun().(term, opts)

  defp plain(module, [], left_out, opts), do: concat([open(module, opts), words(left_out), close(opts)])

  defp plain(module, fields, left_out, opts) do
    close = if left_out == 0, do: close(opts), else: concat([", ", words(left_out), close(opts)])
    container_doc(open(module, opts), fields, close, opts, &field/2, break: :strict, separator: ",")
  end

  defp open(module, opts), do: color("%#{inspect(module)}{", :map, opts)
  defp close(opts), do: color("}", :map, opts)

  defp words(left_out), do: "#{left_out} left out"

  # Fields are atoms, so this is how a keyword list names them.
  defp field({field, value}, opts) do
    "[" <> key = inspect([{field, 0}])
    concat([color(String.replace_suffix(key, " 0]", ""), :atom, opts), " ", to_doc(value, opts)])
  end
end
