# What a module may ask of its instrumentation. Each option is declared once, in @declared; the check,
# the defaults and the error texts all come from that table. Knows nothing of code or of recording.
defmodule ElixirScope.Instrument.Options do
  @moduledoc false

  @typedoc "A function by name, with one arity or with all of them."
  @type selector :: {atom(), arity() | :any}

  @type t :: %__MODULE__{
          only: :all | [selector()],
          except: [selector()],
          args: boolean(),
          returns: boolean(),
          locals: boolean(),
          state: boolean()
        }

  @declared [
    only: {:all, :functions},
    except: {[], :functions},
    args: {true, :boolean},
    returns: {true, :boolean},
    locals: {false, :boolean},
    state: {true, :boolean}
  ]

  defstruct for {name, {default, _type}} <- @declared, do: {name, default}

  @doc """
  Checks the options of `use ElixirScope` and fills in what is not given.

      iex> ElixirScope.Instrument.Options.new!(only: [:total, add: 2], args: false)
      %ElixirScope.Instrument.Options{only: [total: :any, add: 2], except: [], args: false, returns: true, locals: false, state: true}

      iex> ElixirScope.Instrument.Options.new!(arguments: false)
      ** (ArgumentError) use ElixirScope: expected the options only:, except:, args:, returns:, locals:, state:, got: arguments: false. Remove or rename it

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
