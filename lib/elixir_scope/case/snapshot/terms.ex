defmodule ElixirScope.Case.Snapshot.Terms do
  @moduledoc false
  # Terms as text that is the same in each run: pids, references and ports are numbered in the order in which they appear, functions are
  # called after where they stand, and moments of the time of the trace are one. Also within texts, where somebody has inspected them.

  defmodule Local do
    @moduledoc false
    # Stands for a term that each run has its own of. `which` tells keys of one map apart that have the
    # same text.
    @enforce_keys [:text]
    defstruct [:text, which: 0]

    defimpl Inspect do
      def inspect(local, _opts), do: local.text
    end
  end

  @enforce_keys [:since, :until]
  defstruct [:since, :until, known: %{}, counts: %{}]

  @typedoc "What was numbered so far. `since` and `until` are the time of the trace, in nanoseconds."
  @type t :: %__MODULE__{since: integer, until: integer, known: %{String.t() => String.t()}, counts: map}

  # How far around the trace a moment is one of it.
  @around 60_000_000_000
  @width 98

  @doc "The text of a term, of several lines if it is long."
  @spec text(term, t) :: {String.t(), t}
  def text(term, names) do
    {term, names} = walk(term, names)
    term |> inspected() |> plain(names)
  end

  defp inspected(term) do
    options = [
      pretty: true,
      width: @width,
      limit: :infinity,
      printable_limit: :infinity,
      custom_options: [sort_maps: true]
    ]

    try do
      inspect(term, [safe: false] ++ options)
    rescue
      # An `Inspect` that is not made for what stands in the place of a pid.
      _any -> inspect(bare(term), options)
    end
  end

  # Structs as maps.
  defp bare(%Local{} = local), do: local
  defp bare(%module{} = struct), do: struct |> Map.from_struct() |> Map.put(:struct, module) |> bare()
  defp bare(map) when is_map(map), do: Map.new(map, fn {key, value} -> {bare(key), bare(value)} end)
  defp bare([head | tail]), do: [bare(head) | bare(tail)]
  defp bare(tuple) when is_tuple(tuple), do: tuple |> Tuple.to_list() |> Enum.map(&bare/1) |> List.to_tuple()
  defp bare(other), do: other

  # With points in it: a number that was given has none.
  @local ~r/#(PID|Reference|Port)<\d+(\.\d+)+>/
  @function ~r/#Function<[\d.]+\/(\d+) in ([^>]+)>/

  @doc "A text in which others have put pids and the like."
  @spec plain(String.t(), t) :: {String.t(), t}
  def plain(text, names) do
    names =
      @local
      |> Regex.scan(text, capture: :first)
      |> Enum.reduce(names, fn [found], names -> names |> number(found) |> elem(1) end)

    text = Regex.replace(@local, text, fn found -> names.known[found] end)
    {Regex.replace(@function, text, "#Function<fn/\\1 in \\2>"), names}
  end

  @doc "Gives a pid its number."
  @spec number(t, pid | String.t()) :: {String.t(), t}
  def number(names, pid) when is_pid(pid), do: number(names, inspect(pid))

  def number(names, text) do
    case names.known do
      %{^text => name} ->
        {name, names}

      known ->
        [_, kind] = Regex.run(~r/\A#(\w+)</, text)
        count = Map.get(names.counts, kind, 0) + 1
        name = "##{kind}<#{count}>"
        {name, %{names | known: Map.put(known, text, name), counts: Map.put(names.counts, kind, count)}}
    end
  end

  defp walk(term, names) when is_pid(term) or is_reference(term) or is_port(term) do
    {text, names} = number(names, inspect(term))
    {%Local{text: text}, names}
  end

  # Before it is known how long the line is.
  defp walk(text, names) when is_binary(text),
    do: if(String.valid?(text), do: plain(text, names), else: {text, names})

  defp walk(fun, names) when is_function(fun) do
    case Function.info(fun, :type) do
      {:type, :external} ->
        {fun, names}

      {:type, :local} ->
        {:name, name} = Function.info(fun, :name)
        {:module, module} = Function.info(fun, :module)
        {:arity, arity} = Function.info(fun, :arity)
        {%Local{text: "#Function<fn/#{arity} in #{inspect(module)}#{around(name)}>"}, names}
    end
  end

  defp walk([head | tail], names) do
    {head, names} = walk(head, names)
    {tail, names} = walk(tail, names)
    {[head | tail], names}
  end

  defp walk(tuple, names) when is_tuple(tuple) do
    {list, names} = tuple |> Tuple.to_list() |> Enum.map_reduce(names, &walk/2)
    {List.to_tuple(list), names}
  end

  defp walk(%module{} = moment, names) when module in [DateTime, NaiveDateTime] do
    if within?(nanoseconds(moment), names), do: {%Local{text: "#time"}, names}, else: {moment, names}
  end

  # By their keys, so that what stands in them appears in an order of its own: keys that are numbered first here come behind the others, and
  # among themselves as what they are keys to.
  defp walk(map, names) when is_map(map) do
    {pairs, names} =
      map
      |> :maps.to_list()
      |> Enum.sort_by(&in_each_run(&1, names))
      |> Enum.map_reduce(names, fn {key, value}, names ->
        {key, names} = walk(key, names)
        {value, names} = walk(value, names)
        {{key, value}, names}
      end)

    {all(pairs), names}
  end

  defp walk(number, names) when is_integer(number) and number > 1_000_000_000 do
    if Enum.any?([1, 1_000, 1_000_000, 1_000_000_000], &within?(number * &1, names)),
      do: {%Local{text: "#time"}, names},
      else: {number, names}
  end

  defp walk(other, names), do: {other, names}

  # Keys that are another one each may have the same text (moments, functions): none of them takes the place
  # of another.
  defp all(pairs) do
    Enum.reduce(pairs, %{}, fn {key, value}, map -> Map.put(map, unlike(key, map, 1), value) end)
  end

  defp unlike(key, map, _which) when not is_map_key(map, key), do: key

  defp unlike(key, map, which) do
    other = %Local{text: inspected(key), which: which}
    if is_map_key(map, other), do: unlike(key, map, which + 1), else: other
  end

  # What tells a pair from the others of its map in each run alike. Those that nothing tells apart stay in the order in
  # which they were made.
  defp in_each_run({key, value}, names) do
    case same(key, names) do
      ^key -> {key, nil}
      like_others -> {like_others, same(value, names)}
    end
  end

  defp same(term, names) when is_pid(term) or is_reference(term) or is_port(term) do
    text = inspect(term)

    with %{^text => name} <- names.known,
         [_, kind, number] = Regex.run(~r/#(\w+)<(\d+)>/, name),
         do: {"local", kind, String.to_integer(number)},
         else: (_unnumbered -> {"unknown", text |> String.split("<") |> hd()})
  end

  defp same(term, names) when is_function(term), do: term |> walk(names) |> elem(0)
  defp same([head | tail], names), do: [same(head, names) | same(tail, names)]
  defp same(tuple, names) when is_tuple(tuple), do: tuple |> Tuple.to_list() |> same(names) |> List.to_tuple()

  defp same(map, names) when is_map(map),
    do: map |> :maps.to_list() |> Enum.map(&in_each_run(&1, names)) |> Enum.sort()

  defp same(other, _names), do: other

  # "-total/1-fun-0-": the function around it.
  defp around(name) do
    case Regex.run(~r/\A-(.+\/\d+)-/, Atom.to_string(name)) do
      [_, outer] -> "." <> outer
      nil -> ""
    end
  end

  defp within?(time, names), do: time >= names.since - @around and time <= names.until + @around

  defp nanoseconds(%DateTime{} = moment), do: DateTime.to_unix(moment, :nanosecond)

  defp nanoseconds(%NaiveDateTime{} = moment),
    do: moment |> DateTime.from_naive!("Etc/UTC") |> DateTime.to_unix(:nanosecond)
end
