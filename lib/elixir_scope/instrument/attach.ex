# Instrumenting a module that is loaded already, and taking that back. The same rewriter as at compile time starts
# from the same forms, which it finds in the debug information of the object code.
#
# The original object code is kept by this process, so `detach` puts back exactly what ran before. A process that takes its place finds it
# in the files, since a persistent term says which modules are attached.
defmodule ElixirScope.Instrument.Attach do
  @moduledoc false

  use GenServer

  alias ElixirScope.Capture.Servers
  alias ElixirScope.{Capture, Error, Gate, Instrument, Native}
  alias ElixirScope.Instrument.{Anew, Compile, Options, Own, Plan, Request, Source, Transform}

  # As of what is instrumented when it is compiled. Without the SSA passes it would take half the time, and be wrong at times: where one of
  # several values of a `case` is not used, it takes the register of another (OTP 25 to 29; https://github.com/erlang/otp/issues/7248 was one such case).
  @passes [:no_ssa_opt_try]

  @type report :: %{
          module: module(),
          functions: [{atom(), arity()}],
          skipped: %{{atom(), arity()} => String.t()}
        }

  def start_link(_), do: GenServer.start_link(__MODULE__, nil, name: __MODULE__)

  @doc "Instruments a loaded module, or instruments it again with other options."
  @spec attach(module(), keyword()) :: {:ok, report()} | {:error, Error.t()}
  def attach(module, options) do
    with {:ok, options} <- options(options), do: call({:attach, module, options})
  end

  @doc "The same, unless the code that runs is such already."
  @spec ensure(module(), keyword()) :: {:ok, report()} | {:error, Error.t()} | :attached
  def ensure(module, options) do
    with {:ok, options} <- options(options), do: call({:ensure, module, options})
  end

  @doc "Puts back the code that ran before `attach/2`."
  @spec detach(module()) :: :ok | {:error, Error.t()}
  def detach(module), do: call({:detach, module})

  @doc "The modules that are attached."
  @spec attached() :: [module()]
  def attached do
    case call(:attached) do
      {:error, _not_running} -> []
      modules -> modules
    end
  end

  @doc "The functions that record in the code that runs, if it is code of `attach/2`; else `nil`."
  @spec functions(module()) :: [{atom(), arity()}] | nil
  def functions(module) do
    md5 = module.module_info(:md5)

    case :persistent_term.get({__MODULE__, module}, nil) do
      {^md5, functions, _original} -> functions
      _other_code -> nil
    end
  end

  # Of a module so many changes are remembered.
  @changes 32

  @doc """
  Since when which functions of a module record, by `attach/2` and `detach/1`: `{time, functions}`, the newest first. The first of all says what was before.
  Empty where the code has never been changed.
  """
  @spec changes(module()) :: [{non_neg_integer(), [{atom(), arity()}]}]
  def changes(module), do: :persistent_term.get({__MODULE__, :changes, module}, [])

  # Said when the code is in force: what was called until now may have run the code before.
  defp changed(module, before) do
    changes =
      case changes(module) do
        [] -> [{0, before}]
        some -> Enum.take(some, @changes - 1)
      end

    :persistent_term.put(
      {__MODULE__, :changes, module},
      [{Native.now(), Instrument.functions(module)} | changes]
    )
  end

  defp call(request) do
    GenServer.call(__MODULE__, request, :infinity)
  catch
    :exit, {:noproc, _} ->
      Error.new(:not_recording, "the application :elixir_scope is not running; start it first")
  end

  defp options(options) do
    {:ok, Options.new!(options)}
  rescue
    error in ArgumentError -> Error.new(:bad_option, error.message)
  end

  @impl true
  def init(_) do
    # The code server runs modules that may be attached (:lists, :ets). It cannot load what these call then: the VM would
    # end with "The code server called the unloaded module".
    Enum.each([Capture, Servers, Gate, Native], &Code.ensure_loaded!/1)
    Native.own()
    {:ok, Map.new(left_attached())}
  end

  # By the process before this one, in files that are still the same.
  defp left_attached do
    for {{__MODULE__, module}, {_md5, _functions, md5}} <- :persistent_term.get(),
        Code.ensure_loaded?(module) and functions(module) != nil,
        {^module, beam, file} <- [:code.get_object_code(module)],
        {:ok, {^module, ^md5}} <- [:beam_lib.md5(beam)],
        do: {module, %{beam: beam, file: file, md5: md5}}
  end

  @impl true
  def handle_call({:attach, module, options}, _from, originals) do
    with :ok <- attachable(module),
         {:ok, original} <- original(module, originals),
         {:ok, forms} <- forms(module, original),
         :ok <- named(module, forms, options),
         {forms, report} = Transform.run(forms, options, sources(module, forms, original)),
         :ok <- not_empty(report),
         before = Instrument.functions(module),
         :ok <- compile_and_load(module, forms, original) do
      md5 = module.module_info(:md5)
      :persistent_term.put({__MODULE__, module}, {md5, report.instrumented, original.md5})
      changed(module, before)
      {:reply, {:ok, plain(report)}, Map.put(originals, module, original)}
    else
      {:error, error} -> {:reply, {:error, error}, originals}
    end
  rescue
    # The recording goes on, whatever a module is like.
    error ->
      {:reply, refuse(module, "this went wrong: #{Exception.message(error)}. Please report it"), originals}
  end

  def handle_call({:ensure, module, options}, from, originals) do
    if Map.has_key?(originals, module) and functions(module) != nil,
      do: {:reply, :attached, originals},
      else: handle_call({:attach, module, options}, from, originals)
  end

  def handle_call({:detach, module}, _from, originals) do
    with {:ok, original} <- Map.fetch(originals, module),
         before = Instrument.functions(module),
         :ok <- load(module, original, original.beam) do
      :persistent_term.erase({__MODULE__, module})
      changed(module, before)
      {:reply, :ok, Map.delete(originals, module)}
    else
      :error ->
        {:reply, not_attached(module, Map.keys(originals)), originals}

      {:error, error} ->
        {:reply, {:error, error}, originals}
    end
  end

  def handle_call(:attached, _from, originals),
    do: {:reply, originals |> Map.keys() |> Enum.sort(), originals}

  defp attachable(module) do
    cond do
      not is_atom(module) ->
        Error.new(:bad_option, "expected a module, got: #{inspect(module)}")

      not Code.ensure_loaded?(module) ->
        Error.new(:bad_option, "expected a module that this VM knows, got: #{inspect(module)}")

      # The gate is made anew whenever it is turned, so its source says nothing.
      Own.module?(module, file(module)) or module == Gate ->
        refuse(module, "it is a part of ElixirScope, which must not record itself")

      module in :erlang.pre_loaded() ->
        refuse(module, "it is a part of the VM itself")

      :code.which(module) == :cover_compiled ->
        refuse(module, "`:cover` has rewritten it; instrument it when the coverage run is over")

      true ->
        :ok
    end
  end

  defp file(module), do: module.module_info(:compile)[:source] |> List.wrap() |> List.to_string()

  # What was attached before is attached anew from its original.
  defp original(module, originals) do
    case originals do
      %{^module => original} ->
        {:ok, original}

      _ ->
        with {^module, beam, file} <- :code.get_object_code(module),
             {:ok, {^module, md5}} <- :beam_lib.md5(beam),
             {:same, true} <- {:same, module.module_info(:md5) == md5} do
          {:ok, %{beam: beam, file: file, md5: md5}}
        else
          {:same, false} ->
            refuse(
              module,
              "its file holds other code than the one that runs. When it was compiled since, load the file with " <>
                "`l(#{inspect(module)})`; when a tool has replaced it (Mimic, Patch, :meck), let that tool put it back first" <>
                kept_as(module)
            )

          _ ->
            refuse(
              module,
              "its object code is not in a file (it was compiled in memory); put `use ElixirScope` into it"
            )
        end
    end
  end

  defp kept_as(module) do
    case Anew.kept_as(module) do
      nil -> ""
      original -> "; the original is now #{inspect(original)}"
    end
  end

  defp forms(module, %{beam: beam}) do
    case :beam_lib.chunks(beam, [:abstract_code]) do
      {:ok, {_, [abstract_code: {:raw_abstract_v1, forms}]}} ->
        {:ok, forms}

      _ ->
        refuse(
          module,
          "it has no debug information: it was compiled without, or a release has stripped it (`strip_beams: false` keeps it). " <>
            "`:erlang.trace/3` still sees its calls, " <>
            "and the calls that instrumented code makes to it are in that code's recording"
        )
    end
  end

  defp sources(module, forms, %{file: file}) do
    case File.stat(file, time: :posix) do
      {:ok, %{mtime: compiled}} -> Source.of_compiled(forms, file(module), compiled)
      _none -> %{}
    end
  end

  # A name that no function has would be taken for a function that was never called.
  defp named(module, forms, options) do
    definitions = for {:function, _, name, arity, _} <- forms, do: {{name, arity}, :def, [], []}

    case Request.unnamed(%{module: module, definitions: definitions}, options) do
      [] ->
        :ok

      [{option, selector} | _] ->
        Error.new(
          :bad_option,
          "expected #{option}: to name functions that #{inspect(module)} defines, got: #{Options.label(selector)}. " <>
            "Correct it, or take it out"
        )
    end
  end

  defp not_empty(%{instrumented: [], module: module, skipped: skipped}) do
    reasons = skipped |> Map.values() |> Enum.map(&Plan.explain/1) |> Enum.uniq() |> Enum.join("; ")
    refuse(module, "none of its functions can be: #{reasons}")
  end

  defp not_empty(_report), do: :ok

  defp compile_and_load(module, forms, original) do
    options = [:binary, :debug_info | @passes] ++ imports(original) ++ source(module)

    with {:ok, ^module, beam} <- Compile.forms(forms, options) do
      load(module, original, beam)
    else
      {:error, problem} -> refuse(module, problem)
    end
  end

  # Elixir's forms name every function of another module in full; those that were written in Erlang do not.
  defp imports(%{beam: beam}) do
    case :beam_lib.chunks(beam, [:debug_info]) do
      {:ok, {_, [debug_info: {:debug_info_v1, :elixir_erl, _}]}} -> [:no_auto_import]
      _ -> []
    end
  end

  # `module_info(:compile)[:source]`, where doctests and others look for the file.
  defp source(module), do: Keyword.take(module.module_info(:compile), [:source])

  # Code that a process still runs from before the last change is never purged: that would kill the process.
  defp load(module, %{file: file}, beam) do
    sticky? = :code.is_sticky(module)
    if sticky?, do: :code.unstick_mod(module)

    try do
      with {:purged, true} <- {:purged, :code.soft_purge(module)},
           {:module, ^module} <- :code.load_binary(module, file, beam) do
        :ok
      else
        {:purged, false} ->
          Error.new(
            :in_use,
            "the code of #{inspect(module)} cannot be changed yet: a process still runs the code from before the last " <>
              "change, and would have to be killed. Try again when it has left it; what is recorded stays as it is"
          )

        {:error, reason} ->
          refuse(module, "the VM refuses the code: #{inspect(reason)}")
      end
    after
      if sticky?, do: :code.stick_mod(module)
    end
  end

  defp plain(report) do
    skipped = Map.new(report.skipped, fn {function, reason} -> {function, Plan.explain(reason)} end)
    %{module: report.module, functions: report.instrumented, skipped: skipped}
  end

  defp refuse(module, why),
    do: Error.new(:not_instrumented, "#{inspect(module)} cannot be instrumented: #{why}")

  defp not_attached(module, attached) do
    Error.new(
      :not_instrumented,
      "expected a module that ElixirScope.instrument/2 has instrumented, got: #{inspect(module)}; " <>
        case attached do
          [] -> "there is none (code that was loaded anew since counts as its own)"
          some -> "there are #{Enum.map_join(some, ", ", &inspect/1)}"
        end
    )
  end
end
