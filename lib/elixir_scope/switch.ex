defmodule ElixirScope.Switch do
  @moduledoc false
  # Swaps `ElixirScope.Gate` between its two versions, both made when this library is compiled, so that a release
  # without the compiler can do it.

  version = fn answer ->
    forms = [
      {:attribute, 1, :module, ElixirScope.Gate},
      {:attribute, 1, :export, [on: 0]},
      {:function, 1, :on, 0, [{:clause, 1, [], [], [{:atom, 1, answer}]}]}
    ]

    {:ok, ElixirScope.Gate, beam} = :compile.forms(forms, [:deterministic])
    beam
  end

  @on version.(true)
  @off version.(false)

  @spec turn(:on | :off) :: :ok
  def turn(:on), do: load(@on)
  def turn(:off), do: load(@off)

  defp load(beam) do
    true = soft_purge(ElixirScope.Gate)
    {:module, ElixirScope.Gate} = :code.load_binary(ElixirScope.Gate, ~c"elixir_scope_gate", beam)
    :ok
  end

  # A process may be suspended at the entry of the old version's function. `:code.soft_purge/1` leaves it alone and
  # says false; it leaves the function as soon as it runs again.
  defp soft_purge(module) do
    :code.soft_purge(module) or (:erlang.yield() && soft_purge(module))
  end
end
