# What to record of a module when nobody has said it: by its kind, with its hot inner loops and templates counted only.
defmodule ElixirScope.Instrument.Proposal do
  @moduledoc false

  alias ElixirScope.Instrument.{Kind, Loops, Templates}

  @type t :: %__MODULE__{
          kind: Kind.t(),
          record?: boolean(),
          except: [{atom(), arity()}],
          count: [{atom(), arity()}],
          templates: [{atom(), arity()}],
          why: String.t()
        }

  @enforce_keys [:kind, :record?, :except, :count, :templates, :why]
  defstruct @enforce_keys

  @reasons %{
    protocol: "its calls, before they go to an implementation",
    implementation: "code of the project",
    test_support: "it serves the tests",
    exception: "the error itself is recorded where it is raised",
    mix_task: "it runs in Mix, not in the application",
    schema: "the functions written in it, not those that the schema made",
    live_view: "its callbacks, with the socket",
    endpoint: "each request, and the functions written in it",
    plug: "its callbacks, with the connection",
    gen_server: "its callbacks, with the states between them",
    state_machine: "its callbacks",
    supervisor: "what it starts",
    application: "what it starts",
    agent: "what is asked of it",
    struct: "code of the project",
    pure: "what they were given, what they gave",
    generated: "made by yecc or leex: tables and a loop over every character",
    functions: "code of the project"
  }
  @silent [:test_support, :exception, :mix_task, :generated]
  # Which implementation takes a value is seen at the implementation.
  @dispatch [impl_for: 1, impl_for!: 1, struct_impl_for: 1]
  # Macros that define most of an endpoint. A page asks it dozens of times for paths and for its configuration, which holds the
  # secret that everything is signed with.
  @endpoint [Phoenix.Endpoint, Plug.Builder]

  @doc "The proposal for a module, from Elixir's description of it."
  @spec new(map()) :: t()
  def new(%{definitions: definitions} = module) do
    kind = Kind.of(module)
    templates = Templates.find(definitions)

    %__MODULE__{
      kind: kind,
      record?: kind not in @silent,
      except: except(kind, definitions),
      count: if(kind == :protocol, do: [], else: Enum.sort(templates ++ Loops.find(definitions))),
      templates: templates,
      why: Map.fetch!(@reasons, kind)
    }
  end

  defp except(:protocol, definitions),
    do: for({function, _, _, _} <- definitions, function in @dispatch, do: function)

  defp except(:endpoint, definitions) do
    for {function, _, meta, _} <- definitions,
        function != {:call, 2},
        context = meta[:context],
        context in @endpoint or overridden_call?(function),
        do: function
  end

  defp except(_kind, _definitions), do: []

  # What `Plug.Debugger` and the like put around the request, and `call/2` is around once more: the same request, by another name.
  defp overridden_call?({name, 2}), do: name |> Atom.to_string() |> String.starts_with?("call (overridable ")
  defp overridden_call?(_function), do: false
end
