defmodule ElixirScope.Frameworks.View do
  @moduledoc false
  # What is kept of values that are known to be huge. It runs in the traced process, so it takes them apart by patterns and
  # built-in functions alone: any other function could itself be instrumented, and would be recorded as the program's doing.

  @frames 12

  @doc "Of a conn what people look at: no headers, no body, no cookies."
  @spec conn(term) :: map
  def conn(%{__struct__: Plug.Conn} = conn) do
    %{}
    |> put(:method, conn, :method)
    |> put(:host, conn, :host)
    |> put(:path, conn, :request_path)
    |> put(:status, conn, :status)
    |> fetched(:params, conn, :params)
    |> routed(conn)
  end

  def conn(_other), do: %{}

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
