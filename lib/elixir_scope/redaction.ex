defmodule ElixirScope.Redaction do
  @moduledoc """
  What is never recorded: passwords, tokens and the like, by the names that programs give them.

  Where such a name stands, as the key of a map or struct, in a pair such as `{:password, value}` or `{"cookie", value}`, as the name
  of an argument or of a variable, or in a text such as `"token=value"`, an `ElixirScope.Cut` of the kind `:redacted` (in a
  text: `[redacted]`) takes the place of the value before anything is written. A secret field of a struct is kept out of texts that name the
  struct, as `inspect/2` does. Of a function with such a name a text that it returns,
  or that is an element of a tuple that it returns, is kept out likewise. `docs/redaction.md` says where, and where not.

  The option `redact:` of `ElixirScope.start/1` and of the configuration changes the names:

      config :elixir_scope, redact: [keys: [:iban, "*_pin"], except: [:pwd], fields: [{Shop.Customer, :birthday}]]

  | key | meaning |
  |---|---|
  | `:keys` | more names, as atoms or texts; a star in a text stands for any text |
  | `:except` | names that are taken from the defaults, each as it stands there |
  | `:fields` | `{module, field}`: this field of this struct |
  | `:functions` | `{module, function, arity}`: all that this function is given, returns and binds |
  | `:defaults` | `false`: without the names below |

  `redact: false` records everything as it is, whatever `ElixirScope.Recordable` says.

  Names are compared in lower case, with `_` for `-` and for a blank, and without a `!` at the end: `:set_cookie` is also `"Set-Cookie"`, and
  `"accessToken"` is `"access_token"`. Of `"user[token]"` each part counts, of `"auth.token"` the last one too. The defaults are

  #{ElixirScope.Redaction.Defaults.text()}

  A plural is no such name: `tokens`, as those of a lexer, are recorded.
  """

  alias ElixirScope.Error
  alias ElixirScope.Redaction.{Defaults, Views}

  @known [:keys, :except, :fields, :functions, :defaults]

  @typedoc "What `redact:` says, checked; `nil` for `false`."
  @type t ::
          %{
            keys: [String.t()],
            patterns: [String.t()],
            fields: [{module, atom}],
            functions: [mfa]
          }
          | nil

  @doc """
  Checks what `redact:` says. The names come back as they are compared.

      iex> {:ok, rules} = ElixirScope.Redaction.read(keys: [:IBAN, "x-*-pin"], defaults: false)
      iex> rules
      %{fields: [], functions: [], keys: ["iban"], patterns: ["x_*_pin"]}
      iex> ElixirScope.Redaction.read(false)
      {:ok, nil}
      iex> {:error, error} = ElixirScope.Redaction.read(keys: :iban)
      iex> error.message
      "expected keys: of :redact to be a list of atoms and texts such as [:iban, \\"*_pin\\"], got: :iban"
  """
  @spec read(term) :: {:ok, t} | {:error, Error.t()}
  def read(false), do: {:ok, nil}
  def read(true), do: read([])

  def read(given) do
    with :ok <- keyword(given),
         :ok <- known(given),
         {:ok, more} <- names(:keys, Keyword.get(given, :keys, [])),
         {:ok, except} <- names(:except, Keyword.get(given, :except, [])),
         {:ok, names} <- defaults(Keyword.get(given, :defaults, true), except, given),
         {:ok, fields} <- fields(Keyword.get(given, :fields, [])),
         {:ok, functions} <- functions(Keyword.get(given, :functions, [])) do
      {patterns, keys} = Enum.split_with(Enum.uniq(names ++ more), &String.contains?(&1, "*"))
      {:ok, %{keys: keys, patterns: patterns, fields: fields, functions: functions}}
    end
  end

  @doc """
  The rules of a recording that begins: what was asked for, with what `ElixirScope.Recordable` says of structs.
  """
  @spec rules(t) :: {:ok, map | nil} | {:error, Error.t()}
  def rules(nil), do: {:ok, nil}

  def rules(asked) do
    with {:ok, views, secret} <- Views.all() do
      {:ok, asked |> Map.put(:views, views) |> Map.update!(:fields, &Enum.uniq(&1 ++ secret))}
    end
  end

  @doc """
  Whether values under a key are kept out by what `redact:` says, to try it. `redact` is what the option takes.

      iex> for key <- [:password, "X-Api-Key", "refresh_token", :tokens], do: ElixirScope.Redaction.secret?(key)
      [true, true, true, false]
      iex> for name <- ["accessToken", "APIKey", :fetch_token!, :token?], do: ElixirScope.Redaction.secret?(name)
      [true, true, true, false]
      iex> for name <- ["api key", :aws_secret_access_key, "X-Access-Key"], do: ElixirScope.Redaction.secret?(name)
      [true, true, true]
      iex> for name <- ["user[token]", "token[]", "auth.token", "Shop.Token"], do: ElixirScope.Redaction.secret?(name)
      [true, true, true, false]
      iex> ElixirScope.Redaction.secret?(:iban, keys: [:iban])
      true

  Raises an `ElixirScope.Error` when the option is wrong.
  """
  @spec secret?(atom | String.t(), keyword | boolean) :: boolean
  def secret?(key, redact \\ []) when is_atom(key) or is_binary(key) do
    case read(redact) do
      {:ok, nil} -> false
      {:ok, rules} -> key |> forms() |> Enum.any?(&(matching(&1, rules.keys ++ rules.patterns) != []))
      {:error, error} -> raise error
    end
  end

  # As it stands, and the parts of what stands for a place in something larger.
  defp forms(key) do
    key = to_string(key)
    parts = String.split(key, ["[", "]"], trim: true)
    Enum.flat_map([key | parts ++ Enum.flat_map(parts, &last/1)], &spellings/1)
  end

  # Of what begins with a capital, as `Shop.Token`, it is a module.
  defp last(part) do
    case part |> String.split(".") |> List.last() do
      last when last in ["", part] -> []
      last -> if part =~ ~r/\A[A-Z]/, do: [], else: [last]
    end
  end

  # With its words together, and apart where they begin with capitals.
  defp spellings(name) do
    name = String.replace_suffix(name, "!", "")

    [
      normal(name),
      name |> String.replace(~r/(?<=[a-z0-9])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])/, "_") |> normal()
    ]
  end

  defp matching(key, names), do: Enum.filter(names, &matches?(key, &1))

  defp matches?(key, name) do
    case String.split(name, "*") do
      [^key] -> true
      [_exact] -> false
      [first | rest] -> String.starts_with?(key, first) and rest?(String.replace_prefix(key, first, ""), rest)
    end
  end

  # Between two stars the first place will do.
  defp rest?(text, [last]), do: String.ends_with?(text, last)
  defp rest?(text, ["" | rest]), do: rest?(text, rest)

  defp rest?(text, [part | rest]) do
    case String.split(text, part, parts: 2) do
      [_before, behind] -> rest?(behind, rest)
      [_text] -> false
    end
  end

  defp normal(name) when is_atom(name), do: name |> Atom.to_string() |> normal()
  defp normal(name), do: name |> String.downcase(:ascii) |> String.replace(["-", " "], "_")

  defp keyword(given) do
    if Keyword.keyword?(given) do
      :ok
    else
      bad(
        "expected :redact to be false or a keyword list such as redact: [keys: [:iban]], got: #{inspect(given)}"
      )
    end
  end

  defp known(given) do
    case Enum.find(given, fn {key, _value} -> key not in @known end) do
      nil ->
        :ok

      {key, value} ->
        bad(
          "unknown key of :redact #{inspect(key)} (given: #{inspect(value)}); the keys are :keys, :except, :fields, :functions " <>
            "and :defaults"
        )
    end
  end

  defp names(option, given) do
    if list?(given, &name?/1),
      do: {:ok, Enum.map(given, &normal/1)},
      else:
        bad(
          "expected #{option}: of :redact to be a list of atoms and texts such as [:iban, \"*_pin\"], got: #{inspect(given)}"
        )
  end

  defp name?(name) when is_atom(name), do: name not in [nil, true, false, :""]
  defp name?(name), do: is_binary(name) and name != "" and String.valid?(name)

  defp defaults(true, except, _given) do
    left = Defaults.names() -- except

    case Enum.find_value(except, &still(&1, left)) do
      nil -> {:ok, left}
      problem -> bad(problem)
    end
  end

  defp defaults(false, [], _given), do: {:ok, []}

  defp defaults(false, _except, given) do
    bad(
      "expected :redact to have except: or defaults: false, since without defaults there is nothing to take from; got: #{inspect(given)}"
    )
  end

  defp defaults(other, _except, _given),
    do: bad("expected defaults: of :redact to be true or false, got: #{inspect(other)}")

  # Who takes a name away must see it recorded.
  defp still(name, left) do
    cond do
      (hits = matching(name, left)) != [] ->
        "#{inspect(name)} in except: of :redact would still be kept out by #{Enum.map_join(hits, " and ", &inspect/1)} of the " <>
          "defaults; add that to except:, or say defaults: false and name the keys that are secret"

      name not in Defaults.names() ->
        "expected except: of :redact to name some of the defaults (#{Defaults.listed()}), got: #{inspect(name)}"

      true ->
        nil
    end
  end

  defp fields(given) do
    if list?(given, &match?({module, field} when is_atom(module) and is_atom(field), &1)),
      do: {:ok, given},
      else:
        bad(
          "expected fields: of :redact to be a list of {module, field} such as [{Shop.Customer, :iban}], got: #{inspect(given)}"
        )
  end

  defp functions(given) do
    if list?(given, &mfa?/1),
      do: {:ok, given},
      else:
        bad(
          "expected functions: of :redact to be a list of {module, function, arity} such as [{Shop.Accounts, :verify, 2}], got: " <>
            inspect(given)
        )
  end

  defp mfa?({module, function, arity}),
    do: is_atom(module) and is_atom(function) and is_integer(arity) and arity in 0..255

  defp mfa?(_other), do: false

  defp list?(given, fun), do: is_list(given) and not List.improper?(given) and Enum.all?(given, fun)

  defp bad(message), do: Error.new(:bad_option, message)
end
