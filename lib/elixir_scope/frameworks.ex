defmodule ElixirScope.Frameworks do
  @moduledoc false
  # What is recorded through `:telemetry` and `:logger` while a recording runs. Both are asked at run time: `:telemetry` may not be there.
  #
  # `:telemetry` takes a handler away that fails. Ours catches whatever happens, counts it, and says so once for each framework
  # through the recorder, which may write lines.

  alias ElixirScope.{Capture, Error, Framework, Gate, Native}
  alias ElixirScope.Frameworks.{Channel, Ecto, Finch, LiveView, Logger, Oban, Phoenix, Plug, Req, Telemetry}

  @compile {:no_warn_undefined, :telemetry}

  @known [
    plug: Plug,
    phoenix: Phoenix,
    live_view: LiveView,
    channel: Channel,
    ecto: Ecto,
    oban: Oban,
    finch: Finch,
    req: Req
  ]

  @settings {__MODULE__, :settings}
  @failures {__MODULE__, :failures}

  # What to attach to: the names of a module's events were asked where its failure ends nothing.
  @type source :: {module, keyword, [Framework.name()]}
  @type request :: %{sources: [source], logs: atom | nil, hidden: [mfa] | nil}

  @doc "What the options `telemetry:` and `logs:` ask for; `hidden` are functions of which nothing is recorded, `nil` where secrets are no matter."
  @spec request(term, term, [mfa] | nil) :: {:ok, request} | {:error, Error.t()}
  def request(telemetry, logs, hidden) do
    with {:ok, sources} <- sources(telemetry), {:ok, level} <- level(logs) do
      {:ok, %{sources: sources, logs: level, hidden: hidden}}
    end
  end

  defp level(true), do: {:ok, :debug}
  defp level(false), do: {:ok, nil}

  defp level(level) do
    if level in Logger.levels() do
      {:ok, level}
    else
      Error.new(
        :bad_option,
        "expected :logs to be true, false or the lowest level that is recorded, one of " <>
          "#{Enum.map_join(Logger.levels(), ", ", &inspect/1)}, got: #{inspect(level)}"
      )
    end
  end

  @doc "What to attach to: the known frameworks, and what a list adds, changes or takes away."
  @spec sources(term) :: {:ok, [source]} | {:error, Error.t()}
  def sources(false), do: {:ok, []}
  def sources(true), do: {:ok, for({_key, module} <- @known, do: {module, [], module.events()})}

  def sources(given) when is_list(given) do
    {:ok, known} = sources(true)

    if List.improper?(given),
      do: bad(given),
      else: Enum.reduce_while(given, {:ok, known}, fn one, {:ok, sources} -> source(one, sources) end)
  end

  def sources(other), do: bad(other)

  defp source({:span, name}, sources) do
    if name?(name),
      do:
        {:cont,
         {:ok, sources ++ [{Telemetry, [], for(end_ <- [:start, :stop, :exception], do: name ++ [end_])}]}},
      else: {:halt, bad({:span, name})}
  end

  defp source({key, false} = one, sources) do
    case @known[key] do
      nil -> {:halt, bad(one)}
      module -> {:cont, {:ok, List.keydelete(sources, module, 0)}}
    end
  end

  defp source({key, options} = one, sources) do
    case is_atom(key) && Keyword.keyword?(options) && @known[key] do
      module when module in [nil, false] -> {:halt, bad(one)}
      module -> {:cont, {:ok, List.keystore(sources, module, 0, {module, options, module.events()})}}
    end
  end

  defp source(module, sources) when is_atom(module) and module not in [nil, true, false] do
    with true <- Code.ensure_loaded?(module) and function_exported?(module, :keep, 4),
         {:ok, names} <- names(module) do
      {:cont, {:ok, sources ++ [{module, [], names}]}}
    else
      false -> {:halt, bad(module)}
      {:error, got} -> {:halt, no_events(module, got)}
    end
  end

  defp source(name, sources) do
    if name?(name), do: {:cont, {:ok, sources ++ [{Telemetry, [], [name]}]}}, else: {:halt, bad(name)}
  end

  # Code of the program. It may do anything.
  defp names(module) do
    names = module.events()

    if list?(names, &name?/1),
      do: {:ok, names},
      else: {:error, inspect(names, limit: 20, printable_limit: 200)}
  catch
    kind, reason -> {:error, Exception.format_banner(kind, reason, __STACKTRACE__)}
  end

  defp list?(list, each?), do: is_list(list) and not List.improper?(list) and Enum.all?(list, each?)

  defp no_events(module, got) do
    Error.new(
      :bad_option,
      "expected events/0 of #{inspect(module)}, which :telemetry names, to answer a list of names of events such as " <>
        "[[:shop, :order, :paid]], got: #{got}"
    )
  end

  defp name?(name),
    do: is_list(name) and name != [] and not List.improper?(name) and Enum.all?(name, &is_atom/1)

  defp bad(other) do
    Error.new(
      :bad_option,
      "expected :telemetry to be true, false, or a list of names of events such as [:shop, :order, :paid], of spans such as " <>
        "{:span, [:shop, :import]}, of modules with the behaviour ElixirScope.Framework, and of what differs for one of " <>
        "#{Enum.map_join(@known, ", ", fn {key, _} -> inspect(key) end)} such as ecto: [params: true] or oban: false, got: " <>
        "#{inspect(other)}"
    )
  end

  @doc "What is to be attached to beside what is."
  @spec more(term) :: {:ok, [source]} | {:error, Error.t()}
  def more(given) do
    with {:ok, known} <- sources(true),
         {:ok, sources} <- sources(given),
         do:
           if(running?(), do: {:ok, if(given == true, do: known, else: sources -- known)}, else: not_running())
  end

  defp not_running do
    Error.new(
      :no_telemetry,
      "the application :telemetry does not run in this VM, so no event can be recorded; start it with " <>
        "Application.ensure_all_started(:telemetry)"
    )
  end

  @doc "Begins. `:telemetry` may be missing; then it is as if nothing was emitted."
  @spec begin(request) :: :ok
  def begin(request) do
    _ = detach()
    Logger.attach(request.logs, request.hidden)
    :persistent_term.put(@failures, {:atomics.new(1, []), self()})
    settings(%{logs: request.logs, telemetry: false, own: [], late: request.sources != [] and not running?()})
    add(request.sources)
  end

  @doc "Attaches to more."
  @spec add([source]) :: :ok
  def add(sources) do
    if running?(), do: Enum.each(sources, &attach/1)
    now = settings()
    theirs = [Telemetry | Keyword.values(@known)]
    own = for {module, _options, _names} <- sources, module not in theirs, do: module
    settings(%{now | telemetry: attached() != [], own: Enum.uniq(now.own ++ own)})
  end

  @doc "The names of the events that are recorded now."
  @spec attached() :: [Framework.name()]
  def attached, do: for({__MODULE__, name} <- ids(), do: name)

  # None where it does not run. Applications are not asked: that would wait for ever where they are being stopped.
  defp ids do
    if Code.ensure_loaded?(:telemetry), do: for(%{id: id} <- :telemetry.list_handlers([]), do: id), else: []
  rescue
    _any -> []
  catch
    :exit, _reason -> []
  end

  # Written seldom: a change of a persistent term costs every process.
  defp settings(settings) do
    if settings() != settings, do: :persistent_term.put(@settings, settings)
    :ok
  end

  @doc "Whether lines and events are recorded in this VM, for answers that are empty; the frameworks of the program's own."
  # `late`: it was asked for, but `:telemetry` was not there.
  @spec settings() :: %{logs: atom | nil, telemetry: boolean, own: [module], late: boolean}
  def settings, do: :persistent_term.get(@settings, %{logs: nil, telemetry: false, own: [], late: false})

  @doc "Ends."
  @spec finish() :: :ok
  def finish do
    Logger.detach()
    _ = detach()
    settings(%{settings() | logs: nil, telemetry: false})
  end

  @doc """
  Whether `:telemetry` runs. Before Elixir 1.15 an application cannot say that another one, if it is there, is to be started first; so it
  may have to be started.
  """
  @spec running?() :: boolean
  def running? do
    Code.ensure_loaded?(:telemetry) and
      (match?({:ok, _started}, Application.ensure_all_started(:telemetry)) or stands_alone?())
  end

  # Something that is no application has its name.
  defp stands_alone?, do: Application.load(:telemetry) not in [:ok, {:error, {:already_loaded, :telemetry}}]

  # One handler a name, so that names can be added.
  defp attach({module, options, names}), do: Enum.each(names, &attach(&1, {module, options}))

  defp attach(name, config),
    do: quietly(fn -> :telemetry.attach({__MODULE__, name}, name, &__MODULE__.handle/4, config) end)

  # Also what an earlier recording has left, and what attached itself meanwhile.
  defp detach, do: for({__MODULE__, _name} = id <- ids(), do: quietly(fn -> :telemetry.detach(id) end))

  # It may be ending.
  defp quietly(function) do
    function.()
  catch
    :exit, _reason -> :ok
  end

  @doc "Called by `:telemetry`, in the process that emits."
  @spec handle(Framework.name(), map, map, {module, keyword}) :: :ok
  def handle(name, measurements, metadata, {module, options} = config) do
    if on?() do
      try do
        module |> kept(name, measurements, metadata, options) |> record(name, config)
      catch
        kind, reason -> failed(module, name, kind, reason)
      end
    end

    :ok
  end

  @doc "Whether anything is recorded. Compilers, who see the gate as it is at first, are not to conclude from it."
  @spec on?() :: boolean
  def on?, do: :erlang.apply(Gate, :on, [])

  defp kept(module, name, measurements, metadata, options),
    do: module.keep(name, measurements, metadata, options)

  defp record({%{} = measurements, %{} = metadata}, name, _config) do
    if Native.telemetry(name, measurements, metadata) == :new, do: Capture.introduce(:new, [])
  end

  defp record({:attach, names}, _name, config), do: for(name <- names, do: attach(name, config))
  defp record(:skip, _name, _config), do: :ok

  # The first one of a recording is told.
  defp failed(module, name, kind, reason) do
    {count, recorder} = :persistent_term.get(@failures)
    if :atomics.add_get(count, 1, 1) == 1, do: send(recorder, {:framework_failed, module, name, kind, reason})
  end

  @doc "The frameworks whose events a recording may hold, by the names of their events."
  @spec known() :: [module]
  def known, do: Keyword.values(@known) ++ settings().own

  @doc """
  Which module says what spans of a name mean, by what was kept of them.

      iex> ElixirScope.Frameworks.of([:phoenix, :endpoint, :start], %{})
      ElixirScope.Frameworks.Phoenix
      iex> ElixirScope.Frameworks.of([:shop, :repo, :query], %{repo: Shop.Repo, query: "begin"})
      ElixirScope.Frameworks.Ecto
      iex> ElixirScope.Frameworks.of([:shop, :paid], %{})
      ElixirScope.Frameworks.Telemetry
  """
  @spec of(Framework.name(), map) :: module
  def of(name, metadata) do
    cond do
      module = table()[name] -> module
      Ecto.query?(metadata) -> Ecto
      true -> Telemetry
    end
  end

  @doc "The modules by the names of their events."
  @spec table() :: %{Framework.name() => module}
  def table,
    do:
      for(
        module <- known(),
        module != Ecto,
        {:ok, names} <- [names(module)],
        name <- names,
        into: %{},
        do: {name, module}
      )
end
