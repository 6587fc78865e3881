defmodule ElixirScope.Query.Range do
  @moduledoc false
  # The part of a recording that figures are asked of: `in:`, `since:`, `until:`, `pid:`.

  alias ElixirScope.{Error, Native, Query, Recording}

  @doc """
  The recording, the filter for the native library, and until when everything is known, whether or not anything happened.
  """
  @spec filter(keyword) :: {:ok, Recording.t(), map, non_neg_integer} | {:error, Error.t()}
  def filter(options) do
    asked = Native.now()

    with {:ok, recording} <- Query.recording(options),
         {:ok, filter} <- Query.filter(recording, Keyword.take(options, [:since, :until, :pid])),
         {:ok, filter} <- some(filter, options),
         :ok <- within(recording, filter) do
      {:ok, recording, filter, reached(recording, asked)}
    end
  end

  @doc "Whether a range is one, and touches the recording: what lies outside is no empty range."
  @spec within(Recording.t(), %{:since => non_neg_integer, :until => non_neg_integer, optional(atom) => term}) ::
          :ok | {:error, Error.t()}
  def within(recording, range) do
    with :ok <- forward(range), do: reaches(recording, range)
  end

  # The recording of this VM holds all that was captured before the question, but for a flight recording.
  defp reached(recording, asked) do
    {state, _started, _last} = Native.bounds(recording.handle)
    running? = recording.live? and state == :running and Native.flight(recording.handle) == nil
    if running?, do: asked, else: 0
  end

  defp some(:nothing, options) do
    Error.new(
      :unknown_process,
      "expected pid: a process that is in the recording, or a list of some, got: #{inspect(options[:pid])}, of which no event was recorded"
    )
  end

  defp some(filter, _options), do: {:ok, filter}

  defp forward(%{since: since, until: until}) when since > until do
    Error.new(:bad_option, "expected since: not later than until:, got: #{since} and #{until}")
  end

  defp forward(_filter), do: :ok

  defp reaches(recording, %{since: since, until: until}) do
    {_state, started, _last} = Native.bounds(recording.handle)
    if until < started, do: Query.within(recording, until), else: Query.within(recording, max(since, started))
  end

  @doc "What is missing, as `ElixirScope.status/1` says it."
  @spec gaps([tuple]) :: [map]
  def gaps(gaps) do
    for {cause, count, from, to} <- gaps,
        do: %{cause: String.to_existing_atom(cause), count: count, from: from, to: to}
  end
end
