# Which fields of which structs are recorded: by a table of names, since those libraries need not be there, and by what implements
# `ElixirScope.Recordable`, which comes before the table.
defmodule ElixirScope.Redaction.Views do
  @moduledoc false

  alias ElixirScope.{Error, Recordable}

  # What people look at. The rest is large, or the same in all, or holds what was there to be hidden.
  @default %{
    Plug.Conn => [
      :assigns,
      :halted,
      :host,
      :method,
      :params,
      :path_info,
      :path_params,
      :port,
      :query_string,
      :remote_ip,
      :req_headers,
      :request_path,
      :resp_headers,
      :scheme,
      :state,
      :status
    ],
    Phoenix.Socket => [:assigns, :channel, :endpoint, :handler, :id, :joined, :topic, :transport],
    Phoenix.LiveView.Socket => [:assigns, :id, :parent_pid, :redirected, :root_pid, :view],
    Ecto.Changeset => [:action, :changes, :data, :errors, :params, :valid?],
    Ecto.Schema.Metadata => [:source, :state]
  }

  # Of an address that has no user all is recorded (`native/nif/src/redact.rs`).
  # `id` of a socket is `live_socket_id` of the session, which is made of its token.
  @secret [{URI, :userinfo}, {URI, :authority}, {Phoenix.Socket, :id}]

  @type view :: {module, :only | :except, [atom]}

  @doc "The views of ElixirScope itself."
  @spec default() :: [{module, [atom]}]
  def default, do: Enum.sort(@default)

  @doc """
  The views of all structs, and their secret fields.
  """
  @spec all() :: {:ok, [view], [{module, atom}]} | {:error, Error.t()}
  def all do
    Enum.reduce_while(implementations(), {:ok, [], [], []}, fn implementation, {:ok, views, fields, met} ->
      case asked(implementation) do
        {:ok, module, view, secret} ->
          fields = for(field <- secret, do: {module, field}) ++ fields
          {:cont, {:ok, viewed(module, view) ++ views, fields, [module | met]}}

        # Of a module that is gone, or no struct any more, there is nothing to record.
        :none ->
          {:cont, {:ok, views, fields, met}}

        {:error, _error} = error ->
          {:halt, error}
      end
    end)
    |> with_default()
  end

  defp with_default({:ok, views, fields, met}) do
    views = views ++ for({module, only} <- default(), module not in met, do: {module, :only, only})
    {:ok, views, fields ++ Enum.reject(@secret, fn {module, _field} -> module in met end)}
  end

  defp with_default(error), do: error

  defp viewed(_module, :all), do: []
  defp viewed(module, [{kind, fields}]), do: [{module, kind, fields}]

  # A consolidated protocol knows all that there was then. Whatever was loaded later, or lies in the code path of a protocol that
  # is not consolidated, is found by its name.
  defp implementations do
    known =
      case Recordable.__protocol__(:impls) do
        {:consolidated, modules} -> modules
        :not_consolidated -> Protocol.extract_impls(Recordable, :code.get_path())
      end

    prefix = Atom.to_string(Recordable) <> "."

    loaded =
      for {module, _file} <- :code.all_loaded(),
          String.starts_with?(Atom.to_string(module), prefix),
          function_exported?(module, :__impl__, 1),
          do: module.__impl__(:for)

    (known ++ loaded) |> Enum.uniq() |> List.delete(Any) |> Enum.sort()
  end

  defp asked(module) do
    implementation = Module.concat(Recordable, module)

    if Code.ensure_loaded?(module) and function_exported?(module, :__struct__, 0) and
         Code.ensure_loaded?(implementation) do
      struct = module.__struct__()
      checked(module, struct, implementation.view(struct), implementation.secret(struct))
    else
      :none
    end
  catch
    kind, reason ->
      bad(module, "view/1 and secret/1 answer", Exception.format_banner(kind, reason, __STACKTRACE__))
  end

  defp checked(module, struct, view, secret) do
    cond do
      not view?(view) ->
        bad(module, "view/1 answers :all, [only: fields] or [except: fields]", "#{inspect(view)}")

      not fields?(secret) ->
        bad(module, "secret/1 answers a list of fields", "#{inspect(secret)}")

      :__struct__ in secret ->
        bad(
          module,
          "secret/1 names fields other than :__struct__, which says what struct it is",
          inspect(secret)
        )

      unknown = Enum.find(fields(view) ++ secret, &(not is_map_key(struct, &1))) ->
        bad(module, "it names fields of the struct (#{listed(struct)})", inspect(unknown))

      true ->
        {:ok, module, view, secret}
    end
  end

  defp view?(:all), do: true
  defp view?([{kind, fields}]) when kind in [:only, :except], do: fields?(fields)
  defp view?(_other), do: false

  defp fields?(fields),
    do: is_list(fields) and not List.improper?(fields) and Enum.all?(fields, &is_atom/1)

  defp fields(:all), do: []
  defp fields([{_kind, fields}]), do: fields

  defp listed(struct) do
    struct
    |> Map.drop([:__struct__, :__exception__])
    |> Map.keys()
    |> Enum.sort()
    |> Enum.map_join(", ", &inspect/1)
  end

  defp bad(module, expected, got) do
    Error.new(
      :bad_option,
      "expected of the implementation of ElixirScope.Recordable for #{inspect(module)} that #{expected}, got: #{got}; " <>
        "nothing is recorded until it says what is secret"
    )
  end

  @doc """
  The view and the secret fields that options of `@derive` ask for; raises where they cannot be.
  """
  @spec derived!(module, map, keyword) :: {Recordable.view(), [atom]}
  def derived!(module, struct, options) do
    with true <- Keyword.keyword?(options),
         [] <- Keyword.keys(options) -- [:only, :except, :secret],
         {view, secret} = view(options),
         true <- view?(view) and fields?(secret) and :__struct__ not in secret,
         nil <- Enum.find(fields(view) ++ secret, &(not is_map_key(struct, &1))) do
      {view, secret}
    else
      _other ->
        raise ArgumentError,
              "expected @derive {ElixirScope.Recordable, only: fields} or except: fields, and perhaps secret: fields, with " <>
                "fields of #{inspect(module)} (#{listed(struct)}), got: #{inspect(options)}"
    end
  end

  defp view(options) do
    secret = Keyword.get(options, :secret, [])

    case Keyword.delete(options, :secret) do
      [] -> {:all, secret}
      view -> {view, secret}
    end
  end
end
