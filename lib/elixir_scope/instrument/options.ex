# What a module may ask of its instrumentation. Each option is declared once, in @declared; the check,
# the defaults and the error texts all come from that table. Knows nothing of code or of recording.
defmodule ElixirScope.Instrument.Options do
  @moduledoc false

  @typedoc "A function by name, with one arity or with all of them."
  @type selector :: {atom(), arity() | :any}

  @type t :: %__MODULE__{
          only: :all | [selector()],
          except: [selector()],
          count: :all | [selector()],
          args: boolean(),
          returns: boolean(),
          locals: boolean(),
          receives: boolean(),
          state: boolean(),
          agents: boolean(),
          # What `@scope` says of single functions.
          functions: %{optional({atom(), arity()}) => mark()}
        }

  @typedoc "What stands behind `@scope`: whether the function is recorded, or options for it alone."
  @type mark :: boolean() | keyword(boolean())

  @declared [
    only: {:all, :functions},
    except: {[], :functions},
    count: {[], :functions},
    args: {true, :boolean},
    returns: {true, :boolean},
    locals: {false, :boolean},
    receives: {true, :boolean},
    state: {true, :boolean},
    agents: {true, :boolean}
  ]

  # What `@scope` may say of one function.
  @markable [:count, :args, :returns, :locals, :receives, :state]

  defstruct for({name, {default, _type}} <- @declared, do: {name, default}) ++ [functions: %{}]

  @doc """
  Checks the options of `use ElixirScope` and fills in what is not given.

      iex> options = ElixirScope.Instrument.Options.new!(only: [:total, add: 2], args: false)
      iex> {options.only, options.args, options.returns, options.locals}
      {[total: :any, add: 2], false, true, false}

      iex> ElixirScope.Instrument.Options.new!(arguments: false)
      ** (ArgumentError) use ElixirScope: expected the options only:, except:, count:, args:, returns:, locals:, receives:, state:, agents:, got: arguments: false. Remove or rename it

      iex> ElixirScope.Instrument.Options.new!(args: :yes)
      ** (ArgumentError) use ElixirScope: expected args: to be true or false, got: :yes. Write args: true or args: false
  """
  @spec new!(keyword()) :: t()
  def new!(options) do
    unless Keyword.keyword?(options) do
      refuse(
        "a keyword list of options",
        inspect(options),
        "Write for example use ElixirScope, only: [add: 2]"
      )
    end

    Enum.reduce(options, %__MODULE__{}, fn {name, value}, checked ->
      case @declared[name] do
        nil -> refuse("the options #{names()}", "#{name}: #{inspect(value)}", "Remove or rename it")
        {_default, type} -> Map.put(checked, name, cast(type, name, value))
      end
    end)
  end

  @doc """
  Adds what `@scope` says of single functions.

      iex> options = ElixirScope.Instrument.Options.new!([])
      iex> marked = ElixirScope.Instrument.Options.mark(options, %{{:add, 2} => [locals: true]})
      iex> ElixirScope.Instrument.Options.for_function(marked, {:add, 2}).locals
      true
  """
  @spec mark(t(), %{optional({atom(), arity()}) => mark()}) :: t()
  def mark(%__MODULE__{} = options, functions), do: %{options | functions: functions}

  @doc """
  Checks what stands behind `@scope`.

      iex> ElixirScope.Instrument.Options.mark!(locals: true)
      [locals: true]

      iex> ElixirScope.Instrument.Options.mark!(only: [:add])
      ** (ArgumentError) @scope: expected true, false, or the options count:, args:, returns:, locals:, receives:, state: with true or false, got: [only: [:add]]. Write for example @scope locals: true; an attribute of your own needs another name where `use ElixirScope` stands
  """
  @spec mark!(term()) :: mark()
  def mark!(mark) when is_boolean(mark), do: mark

  def mark!(mark) do
    known? = fn
      {name, value} -> name in @markable and is_boolean(value)
      _other -> false
    end

    if is_list(mark) and mark != [] and Enum.all?(mark, known?) do
      mark
    else
      raise ArgumentError,
            "@scope: expected true, false, or the options #{Enum.map_join(@markable, ", ", &"#{&1}:")} with true or " <>
              "false, got: #{inspect(mark)}. Write for example @scope locals: true; an attribute of your own needs another name " <>
              "where `use ElixirScope` stands"
    end
  end

  @doc "The options as they hold for one function."
  @spec for_function(t(), {atom(), arity()}) :: t()
  def for_function(%__MODULE__{functions: functions} = options, function) do
    case functions do
      %{^function => mark} when is_list(mark) -> struct!(options, Keyword.delete(mark, :count))
      _ -> options
    end
  end

  @doc """
  Why calls of a function are not recorded; `nil` when they are. What `@scope` says of it goes before the rest.

      iex> options = ElixirScope.Instrument.Options.new!(except: [:sub], count: [:loop])
      iex> for function <- [:add, :sub, :loop], do: ElixirScope.Instrument.Options.reason(options, {function, 2})
      [nil, :excluded, :counted]
  """
  @spec reason(t(), {atom(), arity()}) :: nil | :not_in_only | :excluded | :marked | :counted
  def reason(%__MODULE__{functions: functions} = options, function) do
    case functions do
      %{^function => false} -> :marked
      %{^function => true} -> nil
      %{^function => mark} -> if mark[:count], do: :counted
      _ -> reason_of_lists(options, function)
    end
  end

  defp reason_of_lists(options, function) do
    cond do
      not selects?(options.only, function) -> :not_in_only
      selects?(options.except, function) -> :excluded
      selects?(options.count, function) -> :counted
      true -> nil
    end
  end

  @doc """
  Whether a selector list names this function.

      iex> ElixirScope.Instrument.Options.selects?([total: :any, add: 2], {:add, 2})
      true
      iex> ElixirScope.Instrument.Options.selects?([total: :any, add: 2], {:add, 3})
      false
  """
  @spec selects?(:all | [selector()], {atom(), arity()}) :: boolean()
  def selects?(:all, _function), do: true
  def selects?(list, {name, arity}), do: {name, :any} in list or {name, arity} in list

  @doc """
  A selector as the user wrote it.

      iex> ElixirScope.Instrument.Options.label({:add, 2})
      "add/2"
      iex> ElixirScope.Instrument.Options.label({:add, :any})
      "add"
  """
  @spec label(selector()) :: String.t()
  def label({name, :any}), do: Atom.to_string(name)
  def label({name, arity}), do: "#{name}/#{arity}"

  defp cast(:boolean, _name, value) when is_boolean(value), do: value

  defp cast(:boolean, name, value) do
    refuse("#{name}: to be true or false", inspect(value), "Write #{name}: true or #{name}: false")
  end

  defp cast(:functions, _name, :all), do: :all

  defp cast(:functions, name, value) do
    case is_list(value) and Enum.map(value, &selector/1) do
      false -> refuse_functions(name, value)
      selectors -> if :error in selectors, do: refuse_functions(name, value), else: selectors
    end
  end

  defp selector({name, arity}) when is_atom(name) and arity in 0..255, do: {name, arity}
  defp selector(name) when is_atom(name), do: {name, :any}
  defp selector(_other), do: :error

  defp refuse_functions(name, value) do
    refuse(
      "#{name}: to be a list of functions",
      inspect(value),
      "Write #{name}: [add: 2] for add/2, or #{name}: [:add] for every arity of add"
    )
  end

  defp names, do: Enum.map_join(@declared, ", ", fn {name, _} -> "#{name}:" end)

  @spec refuse(String.t(), String.t(), String.t()) :: no_return()
  defp refuse(expected, got, advice) do
    raise ArgumentError, "use ElixirScope: expected #{expected}, got: #{got}. #{advice}"
  end
end
