# Which functions of a module are instrumented, what part each plays, and for each of the others why not.
# Decides only; it changes no code. Forms are Erlang abstract format.
defmodule ElixirScope.Instrument.Plan do
  @moduledoc false

  alias ElixirScope.Instrument.{Options, Site, Source}

  @typedoc "`:function`, GenServer's `init/1`, or a callback with the position of its state argument"
  @type role :: :function | :init | {:callback, state :: pos_integer()}
  @type reason ::
          :macro | :reserved_name | :not_in_only | :excluded | :marked | :counted | {:unable, String.t()}

  @type t :: %__MODULE__{
          module: module(),
          # Where it begins.
          anno: :erl_anno.anno(),
          options: Options.t(),
          defined: MapSet.t({atom(), arity()}),
          roles: %{{atom(), arity()} => role()},
          skipped: %{{atom(), arity()} => reason()},
          # The texts of the files that the module comes from.
          sources: %{optional(String.t()) => Source.t()}
        }

  @enforce_keys [:module, :anno, :options, :defined, :roles, :skipped]
  defstruct @enforce_keys ++ [sources: %{}]

  # Positions of the state in the argument list. init/1 has none: it makes the first one.
  @callbacks %{
    {:init, 1} => :init,
    {:handle_call, 3} => {:callback, 3},
    {:handle_cast, 2} => {:callback, 2},
    {:handle_info, 2} => {:callback, 2},
    {:handle_continue, 2} => {:callback, 2},
    {:terminate, 2} => {:callback, 2},
    {:code_change, 3} => {:callback, 2}
  }

  @doc """
  The plan of a module. `unable` holds functions that the rewriter has already failed on.

      iex> forms = [{:attribute, 1, :module, :cart}, {:function, 2, :add, 2, []}, {:function, 3, :"MACRO-m", 1, []}]
      iex> plan = ElixirScope.Instrument.Plan.new(forms, %ElixirScope.Instrument.Options{})
      iex> {plan.module, plan.roles, plan.skipped}
      {:cart, %{{:add, 2} => :function}, %{{:"MACRO-m", 1} => :macro}}
  """
  @spec new([tuple()], Options.t(), %{optional({atom(), arity()}) => String.t()}) :: t()
  def new(forms, %Options{} = options, unable \\ %{}) do
    defined = for {:function, _, name, arity, _} <- forms, do: {name, arity}
    {:attribute, anno, :module, module} = List.keyfind(forms, :module, 2)
    callbacks = if gen_server?(forms), do: @callbacks, else: %{}

    Enum.reduce(
      defined,
      %__MODULE__{
        module: module,
        anno: anno,
        options: options,
        defined: MapSet.new(defined),
        roles: %{},
        skipped: %{}
      },
      fn function, plan ->
        case reason(function, options, unable) do
          nil -> put_in(plan.roles[function], role(function, options, callbacks))
          reason -> put_in(plan.skipped[function], reason)
        end
      end
    )
  end

  defp role(function, options, callbacks) do
    if Options.for_function(options, function).state,
      do: Map.get(callbacks, function, :function),
      else: :function
  end

  @doc """
  Why calls of a function of this name are not recorded, or `nil` when they are.

      iex> options = ElixirScope.Instrument.Options.new!(only: [:add])
      iex> Enum.map([add: 2, sub: 2, __info__: 1], &ElixirScope.Instrument.Plan.reason(&1, options))
      [nil, :not_in_only, :reserved_name]
  """
  @spec reason({atom(), arity()}, Options.t(), map()) :: reason() | nil
  def reason({name, _} = function, options, unable \\ %{}) do
    text = Atom.to_string(name)

    cond do
      String.starts_with?(text, "MACRO-") -> :macro
      # Made by the compiler or a part of a protocol between libraries: __info__, __struct__, __impl__ ...
      String.starts_with?(text, "__") and String.ends_with?(text, "__") -> :reserved_name
      Map.has_key?(unable, function) -> {:unable, unable[function]}
      true -> Options.reason(options, function)
    end
  end

  @doc """
  A reason in words, to follow "because".

      iex> ElixirScope.Instrument.Plan.explain(:macro)
      "it is a macro, which runs only in the compiler"
  """
  @spec explain(reason()) :: String.t()
  def explain(:macro), do: "it is a macro, which runs only in the compiler"
  def explain(:reserved_name), do: "its name is reserved for the compiler"
  def explain(:not_in_only), do: "only: does not name it"
  def explain(:excluded), do: "except: names it"
  def explain(:marked), do: "`@scope false` stands above it"
  def explain(:counted), do: "its calls are counted, not recorded"
  def explain({:unable, problem}), do: "it could not be rewritten: #{problem}"

  @doc "What was asked for a function."
  @spec options(t(), {atom(), arity()}) :: Options.t()
  def options(%__MODULE__{options: options}, function), do: Options.for_function(options, function)

  @doc "A file of the module, as sites name it."
  @spec origin(t(), String.t()) :: Site.origin()
  def origin(%__MODULE__{sources: sources}, file) do
    case sources do
      %{^file => {digest, _packed}} -> {file, digest}
      _ -> {file, 0}
    end
  end

  @doc "Whether calls of the function are counted."
  @spec counts?(t(), {atom(), arity()}) :: boolean()
  def counts?(%__MODULE__{skipped: skipped}, function), do: Map.get(skipped, function) == :counted

  @doc "Whether the function is instrumented."
  @spec instruments?(t(), {atom(), arity()}) :: boolean()
  def instruments?(%__MODULE__{roles: roles}, function), do: Map.has_key?(roles, function)

  defp gen_server?(forms) do
    Enum.any?(forms, fn
      {:attribute, _, kind, module} when kind in [:behaviour, :behavior] ->
        Enum.any?(List.wrap(module), &(&1 in [GenServer, :gen_server]))

      _other ->
        false
    end)
  end
end
