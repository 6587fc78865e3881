# The plan as a file: written by `mix scope.plan --write`, edited by a person, obeyed by the compiler.
defmodule ElixirScope.Project.PlanFile do
  @moduledoc false

  alias ElixirScope.Instrument.Options

  @typedoc "Everything, nothing, or the options of `use ElixirScope`."
  @type entry :: boolean() | keyword()
  @type t :: %{module() => entry()}

  @name "scope.plan.exs"

  @doc "Its name, in the folder of the application's mix.exs."
  @spec name() :: String.t()
  def name, do: @name

  @doc "Reads the plan of a project folder; `nil` when there is none."
  @spec read(Path.t()) :: {:ok, t() | nil} | {:error, String.t()}
  def read(folder) do
    case File.read(Path.join(folder, @name)) do
      {:ok, text} -> parse(text)
      {:error, :enoent} -> {:ok, nil}
      {:error, reason} -> {:error, "#{@name} cannot be read: #{:file.format_error(reason)}"}
    end
  end

  @doc ~S"""
  A plan from its text.

      iex> ElixirScope.Project.PlanFile.parse("%{Shop.Cart => [except: [total: 2]], Shop.Repo => false}")
      {:ok, %{Shop.Cart => [except: [total: 2]], Shop.Repo => false}}

      iex> {:error, message} = ElixirScope.Project.PlanFile.parse("%{Shop.Cart => :yes}")
      iex> message
      "scope.plan.exs: expected Shop.Cart => true, false or options of `use ElixirScope`, got: :yes. Correct the file, or delete it and run mix scope.plan --write"
  """
  @spec parse(String.t()) :: {:ok, t()} | {:error, String.t()}
  def parse(text) do
    case evaluate(text) do
      {:ok, plan} when is_map(plan) -> plan |> Enum.find_value({:ok, plan}, &problem/1)
      {:ok, other} -> bad("expected a map of modules, %{Shop.Cart => true}, got: #{inspect(other)}")
      {:error, message} -> bad(message)
    end
  end

  @doc """
  The text of a plan: each entry, with a remark before it.
  """
  @spec format([{module(), entry(), remark :: String.t()}]) :: String.t()
  def format(entries) do
    lines =
      for {module, entry, remark} <- Enum.sort(entries), do: ["# ", remark, "\n", pair(module, entry), ",\n"]

    source = ["%{\n", lines, "}\n"] |> IO.iodata_to_binary() |> String.replace(",\n}", "\n}")

    """
    # What ElixirScope records of this application. The compiler obeys this file; edit it as you like.
    #
    #     Shop.Cart => true                    all of its functions
    #     Shop.Cart => false                   none
    #     Shop.Cart => [except: [total: 2]]    with the options of `use ElixirScope`
    #
    # `mix scope.plan` shows what comes of it. `mix scope.plan --write` adds new modules and drops those that are gone.
    """ <> "\n" <> IO.iodata_to_binary([Code.format_string!(source, line_length: 98), "\n"])
  end

  defp pair(module, entry) do
    [inspect(module), " => ", inspect(entry, limit: :infinity, printable_limit: :infinity, width: :infinity)]
  end

  defp evaluate(text) do
    {plan, _} = Code.eval_string(text, [], file: @name)
    {:ok, plan}
  rescue
    error -> {:error, "it does not evaluate: #{Exception.message(error)}"}
  catch
    kind, reason -> {:error, "it does not evaluate: #{Exception.format_banner(kind, reason)}"}
  end

  defp problem({module, entry}) when is_atom(module) and is_boolean(entry), do: nil

  defp problem({module, options}) when is_atom(module) and is_list(options) do
    Options.new!(options)
    nil
  rescue
    error in ArgumentError -> bad("#{inspect(module)}: #{error.message}")
  end

  defp problem({module, other}) when is_atom(module) do
    bad("expected #{inspect(module)} => true, false or options of `use ElixirScope`, got: #{inspect(other)}")
  end

  defp problem({other, _entry}), do: bad("expected modules as keys, got: #{inspect(other)}")

  defp bad(message) do
    {:error, "#{@name}: #{message}. Correct the file, or delete it and run mix scope.plan --write"}
  end
end
