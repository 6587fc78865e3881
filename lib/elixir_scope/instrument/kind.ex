# What sort of thing a module is, told from Elixir's description of it (its behaviours, its functions, its file).
defmodule ElixirScope.Instrument.Kind do
  @moduledoc false

  alias ElixirScope.Capture.Servers
  alias ElixirScope.Instrument.Purity

  @type t ::
          :protocol
          | :implementation
          | :test_support
          | :exception
          | :mix_task
          | :schema
          | :live_view
          | :endpoint
          | :plug
          | :gen_server
          | :state_machine
          | :supervisor
          | :application
          | :agent
          | :struct
          | :pure
          | :generated
          | :functions

  @behaviours [
    {Exception, :exception},
    {Mix.Task, :mix_task},
    {Mix.Task.Compiler, :mix_task},
    {Phoenix.LiveView, :live_view},
    {Phoenix.LiveComponent, :live_view},
    {Phoenix.Endpoint, :endpoint},
    {Plug, :plug},
    {GenServer, :gen_server},
    {:gen_server, :gen_server},
    {:gen_statem, :state_machine},
    {GenStateMachine, :state_machine},
    {GenStage, :gen_server},
    {:gen_event, :state_machine},
    {Supervisor, :supervisor},
    {DynamicSupervisor, :supervisor},
    {PartitionSupervisor, :supervisor},
    {:supervisor, :supervisor},
    {Application, :application}
  ]

  @labels %{
    protocol: "protocol",
    implementation: "implementation",
    test_support: "test support",
    exception: "exception",
    mix_task: "Mix task",
    schema: "Ecto schema",
    live_view: "LiveView",
    endpoint: "Phoenix endpoint",
    plug: "Plug",
    gen_server: "GenServer",
    state_machine: "state machine",
    supervisor: "Supervisor",
    application: "Application",
    agent: "Agent",
    struct: "struct",
    pure: "pure functions",
    generated: "parser",
    functions: "functions"
  }

  @doc """
  The kind of a module.

      iex> module = %{attributes: [behaviour: GenServer], definitions: [], relative_file: "lib/cart.ex"}
      iex> ElixirScope.Instrument.Kind.of(module)
      :gen_server
  """
  @spec of(map()) :: t()
  def of(%{attributes: attributes, definitions: definitions} = module) do
    cond do
      module[:generated?] == true -> :generated
      module[:language] == :erlang -> by_behaviour(attributes) || :functions
      Keyword.has_key?(attributes, :__protocol__) -> :protocol
      Keyword.has_key?(attributes, :__impl__) -> :implementation
      String.starts_with?(to_string(module.relative_file), "test/") -> :test_support
      defines?(definitions, {:__schema__, 1}) -> :schema
      kind = by_behaviour(attributes) -> kind
      defines?(definitions, {:child_spec, 1}) and calls?(definitions, Agent) -> :agent
      defines?(definitions, {:__struct__, 0}) -> :struct
      Purity.pure?(bodies(definitions)) -> :pure
      true -> :functions
    end
  end

  @doc """
  A kind in words.

      iex> ElixirScope.Instrument.Kind.label(:gen_server)
      "GenServer"
  """
  @spec label(t()) :: String.t()
  def label(kind), do: Map.fetch!(@labels, kind)

  @doc """
  Whether processes of the module have states that are recorded.

      iex> ElixirScope.Instrument.Kind.server?(%{attributes: [behaviour: :gen_statem], definitions: [{{:init, 1}, :def, [], []}]})
      true
  """
  @spec server?(map()) :: boolean()
  def server?(%{attributes: attributes, definitions: definitions}) do
    functions = for {function, _, _, _} <- definitions, do: function
    attributes |> behaviours() |> Servers.callbacks(functions) != %{}
  end

  defp by_behaviour(attributes) do
    mine = behaviours(attributes)
    Enum.find_value(@behaviours, fn {behaviour, kind} -> behaviour in mine && kind end)
  end

  defp behaviours(attributes), do: attributes |> Keyword.get_values(:behaviour) |> List.flatten()

  defp defines?(definitions, function), do: List.keymember?(definitions, function, 0)

  defp calls?(definitions, module) do
    {_, calls?} =
      Macro.prewalk(bodies(definitions), false, fn
        {{:., _, [^module, _]}, _, _} = node, _ -> {node, true}
        node, calls? -> {node, calls?}
      end)

    calls?
  end

  # Reserved functions (`__info__/1`, `__struct__/0`) are the compiler's.
  defp bodies(definitions) do
    for {{name, _}, kind, _, clauses} <- definitions,
        kind in [:def, :defp],
        not String.starts_with?(Atom.to_string(name), "__"),
        {_, _, _, body} <- clauses,
        do: body
  end
end
