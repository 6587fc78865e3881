defmodule ElixirScope.Query.Program do
  @moduledoc false
  # Questions about the code that a recording is of: the nodes, the texts that they stand in, and how often functions
  # were called that are counted only.

  alias ElixirScope.{Call, Error, Event, Native, Node, Query}
  alias ElixirScope.Instrument.Source

  @doc "See `ElixirScope.nodes/1`."
  @spec nodes(keyword) :: {:ok, [Node.t()]} | {:error, Error.t()}
  def nodes(options) do
    with :ok <- Query.check(options, [:in, :mfa]),
         {:ok, recording} <- Query.recording(options),
         {:ok, sites} <- Query.sites(recording, options) do
      nodes = for {_number, site} <- sites, uniq: true, do: Node.from_native(site)

      if nodes == [],
        do: Query.seen(recording, options, []),
        else: {:ok, Enum.sort_by(nodes, &{&1.file, &1.line, &1.column, &1.mfa, &1.id})}
    end
  end

  @doc "See `ElixirScope.source/2`."
  @spec source(Event.t() | Call.t() | Node.t(), keyword) :: {:ok, String.t()} | {:error, Error.t()}
  def source(%module{source: source, file: file}, options) when module in [Event, Call, Node] do
    with :ok <- Query.check(options, [:in]),
         {:ok, recording} <- Query.recording(options),
         {:ok, digest} <- known(source, file) do
      with {:ok, packed} <- Native.source(recording.handle, digest),
           {:ok, text} <- Source.text(packed, digest) do
        {:ok, text}
      else
        :error ->
          Error.new(:damaged, "the text of #{file} in #{recording.path} is not what was written there")

        {:error, why} ->
          Error.new(:no_source, "the text of #{file} is not in #{recording.path}: #{why}")
      end
    end
  end

  def source(other, _options) do
    Error.new(
      :bad_option,
      "expected an event, a call or a node of a recording, got: #{inspect(other)}; ElixirScope.events/1, calls/2 and " <>
        "nodes/1 give them"
    )
  end

  defp known(nil, nil), do: Error.new(:no_source, "this event comes from no place in the code")

  defp known(nil, file) do
    Error.new(
      :no_source,
      "the text of #{file} was not known when its module was instrumented: the file was not there, had been changed " <>
        "since it was compiled, or has more than a million bytes"
    )
  end

  defp known(digest, _file), do: {:ok, digest}

  @doc "See `ElixirScope.counts/1`."
  @spec counts(keyword) :: {:ok, %{mfa => pos_integer}} | {:error, Error.t()}
  def counts(options) do
    with :ok <- Query.check(options, [:in, :mfa, :since, :until]),
         {:ok, events} <- Query.events([kind: :count] ++ options) do
      sums = Enum.reduce(events, %{}, fn event, sums -> add(sums, event.mfa, event.data.count) end)
      if sums == %{}, do: counted(options), else: {:ok, sums}
    end
  end

  # No count is an answer where a function is counted, or may be.
  defp counted(options) do
    with {:ok, recording} <- Query.recording(options), {:ok, sites} <- Query.sites(recording, options) do
      kinds = for {_number, {_, _, {_, kind, _, _}}} <- sites, uniq: true, do: kind

      if Keyword.has_key?(options, :mfa) and kinds != [] and :counted not in kinds do
        Error.new(
          :not_counted,
          "calls of #{inspect(options[:mfa])} are recorded, not counted: ElixirScope.calls/2 gives them"
        )
      else
        {:ok, %{}}
      end
    end
  end

  defp add(sums, mfa, count), do: Map.update(sums, mfa, count, &(&1 + count))
end
