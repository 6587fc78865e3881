# Which functions of a module are instrumented, what part each plays, and for each of the others why not.
# Decides only; it changes no code. Forms are Erlang abstract format.
defmodule ElixirScope.Instrument.Plan do
  @moduledoc false

  alias ElixirScope.Capture.Servers
  alias ElixirScope.Instrument.{Options, Pattern, Site, Source}

  @typedoc "An ordinary function, or a callback of a server, with the place of the state among its arguments."
  @type role :: :function | {:callback, Servers.where(), Servers.callback()}
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
          sources: %{optional(String.t()) => Source.t()},
          # What the arguments of functions are called that only call another one of their name, as those do that the compiler
          # makes of default arguments, or that say how it will be called.
          forwards: %{optional({atom(), arity()}) => Site.args()}
        }

  @enforce_keys [:module, :anno, :options, :defined, :roles, :skipped]
  defstruct @enforce_keys ++ [sources: %{}, forwards: %{}]

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
    callbacks = callbacks(forms, defined)

    Enum.reduce(
      defined,
      %__MODULE__{
        module: module,
        anno: anno,
        options: options,
        defined: MapSet.new(defined),
        roles: %{},
        skipped: %{},
        forwards: forwards(forms)
      },
      fn function, plan ->
        case reason(function, options, unable) do
          nil -> put_in(plan.roles[function], role(function, options, callbacks))
          reason -> put_in(plan.skipped[function], reason)
        end
      end
    )
  end

  # `def login(user, password \\ nil)` has a `login(one) -> login(one, nil)`, whose variables nobody has named.
  defp forwards(forms) do
    forwards = defaults(forms)

    # `use GenServer` makes a `child_spec(init_arg)`: what it is given is what `start_link/1` will be given.
    case called(forms, :start_link, 1) do
      {:function, _, _, _, clauses} ->
        Map.put(forwards, {:child_spec, 1}, forwards[{:start_link, 1}] || Pattern.arguments(clauses))

      nil ->
        forwards
    end
  end

  defp defaults(forms) do
    for {:function, _, name, arity, [{:clause, _, variables, [], [{:call, _, {:atom, _, name}, given}]}]} <-
          forms,
        length(given) > arity,
        Enum.all?(variables, &match?({:var, _, _}, &1)),
        {:function, _, ^name, _, clauses} <- [called(forms, name, length(given))],
        into: %{} do
      named = given |> Enum.map(&variable/1) |> Enum.zip(Pattern.arguments(clauses))
      {{name, arity}, for({:var, _, variable} <- variables, do: of(variable, named))}
    end
  end

  defp called(forms, name, arity), do: Enum.find(forms, &match?({:function, _, ^name, ^arity, _}, &1))

  defp variable({:var, _, name}), do: name
  defp variable(_value), do: nil

  defp of(variable, named), do: for({^variable, names} <- named, name <- names, uniq: true, do: name)

  @doc "What the arguments of a function are called."
  @spec arguments(t(), {atom(), arity()}, [tuple()]) :: Site.args()
  def arguments(%__MODULE__{forwards: forwards}, function, clauses) do
    own = Pattern.arguments(clauses)

    case forwards do
      %{^function => others} -> Enum.zip_with(own, others, fn own, other -> Enum.uniq(own ++ other) end)
      _its_own -> own
    end
  end

  defp role(function, options, callbacks) do
    with true <- Options.for_function(options, function).state,
         %{^function => {where, callback}} <- callbacks do
      {:callback, where, callback}
    else
      _no_callback -> :function
    end
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

  defp callbacks(forms, defined) do
    behaviours = for {:attribute, _, kind, named} <- forms, kind in [:behaviour, :behavior], do: named
    callbacks = behaviours |> List.flatten() |> Servers.callbacks(defined)
    states? = state_functions?(forms)

    for {function, {where, callback}} <- callbacks,
        not state_function?(where) or (states? and exported?(forms, function)),
        into: %{},
        do: {function, {where, callback}}
  end

  # The states of a state machine may be functions of the same names, and then every exported one may be a state.
  defp state_function?(where), do: is_list(where) and :function in where

  defp exported?(forms, function) do
    Enum.any?(forms, fn
      {:attribute, _, :export, functions} -> function in functions
      {:attribute, _, :compile, options} -> :export_all in List.wrap(options)
      _other -> false
    end)
  end

  defp state_functions?(forms) do
    case Enum.find(forms, &match?({:function, _, :callback_mode, 0, _}, &1)) do
      nil -> true
      form -> not names?(form, :handle_event_function) or names?(form, :state_functions)
    end
  end

  defp names?({:atom, _, name}, name), do: true
  defp names?(form, name) when is_tuple(form), do: form |> Tuple.to_list() |> names?(name)
  defp names?([first | rest], name), do: names?(first, name) or names?(rest, name)
  defp names?(_leaf, _name), do: false
end
