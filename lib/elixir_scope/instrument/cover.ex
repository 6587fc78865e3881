# Code that `:cover` compiles. It takes the forms out of the debug information, puts its counters in, and compiles that. So
# that both hold, the counts and the recording, the rewriter has to start from the forms with the counters.
#
# They are made a second time here, by the compiler's or cover's own code and from the counters that it has given out; nothing
# of cover's is written to.
defmodule ElixirScope.Instrument.Cover do
  @moduledoc false

  alias ElixirScope.Instrument.Compile

  # Cover's tables: {counter's place, index}, {{:counters, module}, reference}.
  @mapping :cover_internal_mapping_table
  @borrowed :elixir_scope_borrowed_cover

  @doc "Whether cover has a hand in this module."
  @spec running?(module()) :: boolean()
  def running?(module), do: :ets.whereis(@mapping) != :undefined and :ets.member(@mapping, module)

  @doc "Forms with cover's counters in."
  @spec counted(module(), [tuple()]) :: {:ok, [tuple()]} | {:error, String.t()}
  def counted(module, forms) do
    forms = :epp.interpret_file_attribute(forms)

    # OTP 27 and later; before that the same code was cover's own. Some versions know neither: `apply`.
    if Code.ensure_loaded?(:sys_coverage) and function_exported?(:sys_coverage, :cover_transform, 2) do
      {:ok, forms} = apply(:sys_coverage, :cover_transform, [forms, &index/5])

      {:ok,
       if(apply(:code, :coverage_support, []), do: forms, else: put_counters(forms, :executable_line, module))}
    else
      with :ok <- borrow() do
        {:ok, forms, _vars} = apply(@borrowed, :scope_transform, [forms, module])
        {:ok, put_counters(forms, :BUMP, module)}
      end
    end
  catch
    :error, {:not_counted, place} -> {:error, "`:cover` does not count #{inspect(place)}"}
  end

  @doc "The index that cover has given to a place."
  @spec index(module(), atom(), arity(), pos_integer(), non_neg_integer()) :: pos_integer()
  def index(module, function, arity, clause, line) do
    case :ets.lookup(@mapping, {:bump, module, function, arity, clause, line}) do
      [{_place, index}] -> index
      [] -> :erlang.error({:not_counted, {module, function, arity, line}})
    end
  end

  # Where the VM does not count lines itself, each place calls for its counter: by the module's name, or directly, when
  # cover was told that it works on this node alone.
  defp put_counters(forms, place, module) do
    anno = :erl_anno.new(0)

    counter =
      case :persistent_term.get({:cover, module}, nil) do
        nil ->
          {_, reference} = :ets.lookup(@mapping, {:counters, module}) |> hd()
          {kind, number} = reference |> :erlang.term_to_binary() |> :erlang.binary_to_term()
          {:tuple, anno, [{:atom, anno, kind}, {:integer, anno, number}]}

        _reference ->
          key = {:tuple, anno, [{:atom, anno, :cover}, {:atom, anno, module}]}
          call(anno, :persistent_term, :get, [key])
      end

    put_counters(forms, &match?({^place, _, _}, &1), counter, anno)
  end

  defp put_counters({:attribute, _, _, _} = form, _place?, _counter, _anno), do: form

  defp put_counters([head | tail], place?, counter, anno),
    do: [put_counters(head, place?, counter, anno) | put_counters(tail, place?, counter, anno)]

  defp put_counters(tuple, place?, counter, anno) when is_tuple(tuple) do
    if place?.(tuple) do
      call(anno, :counters, :add, [counter, {:integer, anno, elem(tuple, 2)}, {:integer, anno, 1}])
    else
      tuple |> Tuple.to_list() |> put_counters(place?, counter, anno) |> List.to_tuple()
    end
  end

  defp put_counters(leaf, _place?, _counter, _anno), do: leaf

  defp call(anno, module, function, args) do
    {:call, anno, {:remote, anno, {:atom, anno, module}, {:atom, anno, function}}, args}
  end

  # The part of cover that we need is not exported. Its own forms are compiled under another name, with a door to that part,
  # and with counters that are looked up and never given out.
  defp borrow do
    :global.trans(
      {@borrowed, self()},
      fn -> if :erlang.module_loaded(@borrowed), do: :ok, else: compile_borrowed() end,
      [
        node()
      ]
    )
  end

  defp compile_borrowed do
    with file when is_list(file) <- :code.which(:cover),
         {:ok, {_, [abstract_code: {:raw_abstract_v1, forms}]}} <- :beam_lib.chunks(file, [:abstract_code]),
         {:ok, @borrowed, beam} <- forms |> Enum.flat_map(&lend/1) |> Compile.forms([:binary]),
         {:module, @borrowed} <- :code.load_binary(@borrowed, ~c"cover", beam) do
      :ok
    else
      _other ->
        {:error, "`:cover` itself was compiled without debug information, or is of a version not known here"}
    end
  end

  defp lend({:attribute, anno, :module, :cover}),
    do: [{:attribute, anno, :module, @borrowed}, {:attribute, anno, :export, [scope_transform: 2]}]

  defp lend({:attribute, _, name, _}) when name in [:export, :compile, :spec], do: []

  defp lend({:function, _, :transform_2, 5, _} = form) do
    [form, parse("scope_transform(Forms, Module) ->
       {attribute, _, file, {Main, _}} = lists:keyfind(file, 3, Forms),
       transform_2(Forms, [], \#vars{module = Module}, Main, on).")]
  end

  defp lend({:function, _, :counter_index, 2, _}) do
    [parse("counter_index(\#vars{module = M, function = F, arity = A, clause = C}, Line) ->
       '#{__MODULE__}':index(M, F, A, C, Line).")]
  end

  defp lend(form), do: [form]

  defp parse(text) do
    {:ok, tokens, _} = text |> String.to_charlist() |> :erl_scan.string()
    {:ok, form} = :erl_parse.parse_form(tokens)
    form
  end
end
