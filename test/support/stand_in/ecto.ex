# These stand for what Ecto says of the repos that run.
defmodule Ecto.Repo do
  @moduledoc false
  @key {__MODULE__, :running}

  def all_running, do: Map.keys(metas())

  # A repo that runs, with the name of its events.
  def run(repo, name),
    do: :persistent_term.put(@key, %{repo => %{repo: repo, telemetry: {repo, :debug, name}}})

  def stop, do: :persistent_term.erase(@key)
  def metas, do: :persistent_term.get(@key, %{})
end

defmodule Ecto.Adapter do
  @moduledoc false
  def lookup_meta(repo), do: Map.fetch!(Ecto.Repo.metas(), repo)
end
