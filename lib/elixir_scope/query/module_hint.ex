defmodule ElixirScope.Query.ModuleHint do
  @moduledoc false
  # Who gives a module where one server is expected often means the servers of that module.

  alias ElixirScope.{Error, Query}
  alias ElixirScope.Query.Server

  @shown 5

  @doc "An answer; where it is that nobody has a name that is a module's, with the servers of that module."
  @spec add(answer, Server.t(), keyword) :: answer when answer: {:ok, term} | {:error, Error.t()}
  def add({:error, %Error{reason: :unknown_process} = error}, module, options) when is_atom(module) do
    with true <- Code.ensure_loaded?(module) and function_exported?(module, :__info__, 1),
         {:ok, recording} <- Query.recording(Keyword.take(options, [:in])) do
      {:error, %{error | message: error.message <> hint(module, servers(recording, module))}}
    else
      _no_module -> {:error, error}
    end
  end

  def add(answer, _server, _options), do: answer

  defp hint(module, servers) do
    "; if servers of the module #{inspect(module)} are meant: one of them is expected here#{list(servers)}, and " <>
      "ElixirScope.first_change/3 takes the module for all of them"
  end

  defp servers(recording, module) do
    for {pid, %{initial_call: {^module, _, _}}} <- Query.processes(recording), do: pid
  end

  defp list([]), do: ""

  defp list(servers) do
    more = if length(servers) > @shown, do: " and #{length(servers) - @shown} more", else: ""
    " (#{servers |> Enum.take(@shown) |> Enum.map_join(", ", &inspect/1)}#{more})"
  end
end
