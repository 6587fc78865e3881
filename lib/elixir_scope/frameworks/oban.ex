defmodule ElixirScope.Frameworks.Oban do
  @moduledoc false
  # Jobs, from when they begin to run until the result is stored.

  @behaviour ElixirScope.Framework

  alias ElixirScope.Frameworks.View

  @job [:id, :worker, :queue, :args, :attempt, :max_attempts, :tags]

  @impl true
  def events, do: for(suffix <- [:start, :stop, :exception], do: [:oban, :job, suffix])

  @impl true
  def keep(_name, measurements, metadata, _options) do
    kept =
      metadata
      |> View.some([:state, :result])
      |> :maps.merge(job(:maps.get(:job, metadata, metadata)))
      |> :maps.merge(View.exception(metadata))

    {measurements, kept}
  end

  # Old versions had the fields of the job in the metadata themselves.
  defp job(%{} = job), do: View.some(job, @job)
  defp job(_other), do: %{}

  @impl true
  def span(_name, metadata, measurements) do
    %{
      kind: :job,
      name: to_string(metadata[:worker] || "job"),
      outcome: outcome(metadata),
      attributes:
        for(
          key <- [:id, :queue, :attempt, :max_attempts, :args, :tags, :result],
          value = metadata[key],
          value != [],
          do: {key, value}
        ) ++ for(time <- List.wrap(measurements[:queue_time]), do: {:queue_time, nanoseconds(time)})
    }
  end

  # `perform/1` that answered with an error is told as an exception, and is none.
  defp outcome(%{state: :failure, kind: :error, reason: reason, stacktrace: []}), do: {:error, reason}
  defp outcome(metadata), do: metadata[:state]

  defp nanoseconds(time), do: System.convert_time_unit(time, :native, :nanosecond)
end
