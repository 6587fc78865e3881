# Stands for the application `telemetry`, which is no dependency, where it is not there: what its documentation promises of attaching, executing and
# spans. As there, a handler that fails is taken away, and `[:telemetry, :handler, :failure]` is emitted.
unless Code.ensure_loaded?(:telemetry) do
  defmodule :telemetry do
    @moduledoc false
    @table :telemetry_stand_in

    def attach(id, name, function, config), do: attach_many(id, [name], function, config)

    def attach_many(id, names, function, config) when is_function(function, 4) do
      # One attaches at a time, as a server of its own sees to there.
      :global.trans(
        {@table, self()},
        fn ->
          if :ets.match_object(table(), {:_, id, :_, :_}) == [] do
            for name <- names, do: :ets.insert(table(), {name, id, function, config})
            :ok
          else
            {:error, :already_exists}
          end
        end,
        [node()]
      )
    end

    def detach(id) do
      case :ets.match_object(table(), {:_, id, :_, :_}) do
        [] -> {:error, :not_found}
        handlers -> Enum.each(handlers, &:ets.delete_object(table(), &1))
      end
    end

    def list_handlers(prefix) do
      for {name, id, function, config} <- :ets.tab2list(table()), List.starts_with?(name, prefix) do
        %{id: id, event_name: name, function: function, config: config}
      end
    end

    def execute(name, measurements, metadata \\ %{}) when is_map(measurements) and is_map(metadata) do
      for {^name, id, function, config} <- :ets.lookup(table(), name) do
        try do
          function.(name, measurements, metadata, config)
        catch
          kind, reason ->
            detach(id)
            failure = %{event_name: name, handler_id: id, handler_config: config, kind: kind, reason: reason}
            failure = Map.put(failure, :stacktrace, __STACKTRACE__)
            execute([:telemetry, :handler, :failure], %{system_time: System.system_time()}, failure)
        end
      end

      :ok
    end

    def span(name, metadata, function) do
      start = System.monotonic_time()
      metadata = Map.put_new_lazy(metadata, :telemetry_span_context, &make_ref/0)
      context = Map.take(metadata, [:telemetry_span_context])
      times = %{monotonic_time: start, system_time: System.system_time()}
      execute(name ++ [:start], times, metadata)

      try do
        case function.() do
          {result, stop} -> {result, %{}, stop}
          {result, measured, stop} -> {result, measured, stop}
        end
      catch
        kind, reason ->
          raised = %{kind: kind, reason: reason, stacktrace: __STACKTRACE__}
          execute(name ++ [:exception], took(start, %{}), Map.merge(metadata, raised))
          :erlang.raise(kind, reason, __STACKTRACE__)
      else
        {result, measured, stop} ->
          execute(name ++ [:stop], took(start, measured), Map.merge(context, stop))
          result
      end
    end

    defp took(start, measured) do
      now = System.monotonic_time()
      Map.merge(measured, %{duration: now - start, monotonic_time: now})
    end

    # It lives as long as the VM, so it has an owner of its own.
    defp table do
      case :ets.whereis(@table) do
        :undefined ->
          caller = self()
          {owner, monitor} = spawn_monitor(fn -> own(caller) end)

          receive do
            {^owner, :made} -> Process.demonitor(monitor, [:flush])
            # Another one was faster.
            {:DOWN, ^monitor, _, _, _} -> :ok
          end

          table()

        table ->
          table
      end
    end

    defp own(caller) do
      :ets.new(@table, [:bag, :named_table, :public, read_concurrency: true])
      send(caller, {self(), :made})
      Process.sleep(:infinity)
    rescue
      ArgumentError -> :ok
    end
  end
end
