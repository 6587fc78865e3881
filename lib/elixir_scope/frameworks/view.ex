defmodule ElixirScope.Frameworks.View do
  @moduledoc false
  # What is kept of values that are known to be huge. It runs in the traced process, so it takes them apart by patterns and
  # built-in functions alone: any other function could itself be instrumented, and would be recorded as the program's doing.

  alias ElixirScope.Native

  @frames 12

  @doc "Of a conn what people look at: no headers, no body, no cookies."
  @spec conn(term) :: map
  def conn(%{__struct__: Plug.Conn} = conn) do
    %{}
    |> put(:method, conn, :method)
    |> put(:host, conn, :host)
    |> path(conn)
    |> put(:status, conn, :status)
    |> fetched(:params, conn, :params)
    |> routed(conn)
  end

  def conn(_other), do: %{}

  # Before the router has it nobody knows whether a segment of it is a secret. What ends without a router has none.
  defp path(view, %{request_path: path} = conn) when is_binary(path) do
    if routed?(conn),
      do: :maps.put(:path, without(path, :maps.get(:path_params, conn, nil)), view),
      else: view
  end

  defp path(view, _conn), do: view

  defp routed?(%{status: status}) when is_integer(status), do: true
  defp routed?(%{private: %{phoenix_router: _router}}), do: true
  defp routed?(%{private: %{plug_route: _route}}), do: true
  defp routed?(%{path_params: %{__struct__: _unfetched}}), do: false
  defp routed?(%{path_params: %{} = params}), do: map_size(params) > 0
  defp routed?(_conn), do: false

  @doc "A path, or an address, with `[redacted]` for the segments that are values of parameters with names of secrets."
  @spec without(String.t(), term) :: String.t()
  def without(path, %{} = params) when not is_map_key(params, :__struct__) do
    case secrets(:maps.to_list(params)) do
      [] -> path
      secrets -> path |> :binary.split("/", [:global]) |> segments(secrets) |> :erlang.iolist_to_binary()
    end
  end

  def without(path, _unknown), do: path

  defp secrets([{key, value} | rest]) when is_binary(key) or is_atom(key),
    do: if(Native.secret(key), do: texts(value) ++ secrets(rest), else: secrets(rest))

  defp secrets([_other | rest]), do: secrets(rest)
  defp secrets([]), do: []

  # What a `*` of a route stands for is a list.
  defp texts([text | rest]), do: texts(text) ++ texts(rest)
  defp texts(text) when is_binary(text) and text != "", do: [text]
  defp texts(_other), do: []

  defp segments([segment], secrets), do: [segment(segment, secrets)]
  defp segments([segment | rest], secrets), do: [segment(segment, secrets), "/" | segments(rest, secrets)]

  defp segment(whole, secrets) do
    [segment | _query] = :binary.split(whole, ["?", "#"])
    rest = :binary.part(whole, byte_size(segment), byte_size(whole) - byte_size(segment))

    if :lists.member(segment, secrets) or :lists.member(:uri_string.percent_decode(segment), secrets),
      do: ["[redacted]", rest],
      else: whole
  end

  # Not before they were fetched.
  defp fetched(view, as, map, key) do
    case map do
      %{^key => %{__struct__: _unfetched}} -> view
      %{^key => %{} = params} when map_size(params) > 0 -> :maps.put(as, params, view)
      _none -> view
    end
  end

  defp routed(view, %{private: %{phoenix_controller: controller, phoenix_action: action}}),
    do: :maps.merge(view, %{controller: controller, action: action})

  defp routed(view, _conn), do: view

  @doc "Of a LiveView's socket which view it is, and which of its assigns have changed since it was rendered last."
  @spec live_socket(term) :: map
  def live_socket(%{__struct__: Phoenix.LiveView.Socket} = socket) do
    view = put(%{}, :view, socket, :view)

    case socket do
      %{assigns: %{__changed__: %{} = changed}} when map_size(changed) > 0 ->
        :maps.put(:changed, :maps.keys(changed), view)

      _none ->
        view
    end
  end

  def live_socket(_other), do: %{}

  @doc "Of a channel's socket its topic and modules."
  @spec channel_socket(term) :: map
  def channel_socket(%{__struct__: Phoenix.Socket} = socket) do
    %{} |> put(:topic, socket, :topic) |> put(:channel, socket, :channel) |> put(:handler, socket, :handler)
  end

  def channel_socket(_other), do: %{}

  @doc "Of an exception's metadata its kind, its reason and the top of the stack, without arguments."
  @spec exception(map) :: map
  def exception(%{kind: kind, reason: reason} = metadata) do
    {reason, stack} = unwrapped(reason, :maps.get(:stacktrace, metadata, []))
    %{kind: kind, reason: reason, stacktrace: frames(stack, @frames)}
  end

  def exception(_metadata), do: %{}

  # It holds the conn.
  defp unwrapped(%{__struct__: Plug.Conn.WrapperError, reason: reason, stack: stack}, _stack),
    do: {reason, stack}

  defp unwrapped(reason, stack), do: {reason, stack}

  defp frames([{module, function, arguments, where} | rest], left) when left > 0 do
    arity = if is_list(arguments), do: length(arguments), else: arguments
    [{module, function, arity, where} | frames(rest, left - 1)]
  end

  defp frames(_end, _left), do: []

  @doc "Some keys of a map, those that it has and that are not `nil`."
  @spec some(map, [atom]) :: map
  def some(map, keys), do: map |> pairs(keys) |> :maps.from_list()

  defp pairs(_map, []), do: []

  defp pairs(map, [key | keys]) do
    case map do
      %{^key => value} when value != nil -> [{key, value} | pairs(map, keys)]
      _none -> pairs(map, keys)
    end
  end

  @doc "The value of a key, where there is one, under another name."
  @spec put(map, atom, map, atom) :: map
  def put(view, as, map, key) do
    case map do
      %{^key => value} when value != nil -> :maps.put(as, value, view)
      _none -> view
    end
  end
end
