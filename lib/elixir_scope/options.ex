defmodule ElixirScope.Options do
  @moduledoc """
  The options of a recording, from `config :elixir_scope` and from `ElixirScope.start/1`.

  | option | default | meaning |
  |---|---|---|
  | `:enabled` | `true` outside of `prod` | whether recording begins with the application (configuration alone) |
  | `:dir` | `"_build/scope"` | the folder that holds one sub-folder a recording |
  | `:keep` | `10` | recordings kept in that folder; older ones are removed when a new one begins. Those that a failed test has named are counted apart for a day |
  | `:retain` | `[bytes: 4 GiB]` | how much of a recording is kept, see below |
  | `:pack` | `true` | whether segments, the files of the store, are compressed once they are full |
  | `:overflow` | `:drop_new` | what happens when a ring is full, see below |
  | `:trigger` | `[]` | what makes a flight recording take a snapshot by itself, see below |
  | `:watch` | `:instrumented` on OTP 27 and later, else `false` | which processes the VM tells of: what `ElixirScope.watch/2` takes, `false`, or a keyword list of its options and `:processes` |
  | `:redact` | the usual names of secrets | what is never recorded: a keyword list of `ElixirScope.Redaction`, or `false` |
  | `:logs` | `true` | whether lines of the log are recorded: `true`, `false`, or the lowest level such as `:warning`. What Logger's own level keeps out is not |
  | `:telemetry` | `true` | whether what frameworks tell through `:telemetry` is recorded: `true`, `false`, or a list of what is added and changed, see `docs/frameworks.md` |
  | `:limits` | see below | a keyword list |
  | `:instrument` | nothing | what `mix compile` instruments of a whole project (configuration alone), see below |

  | limit | default | meaning |
  |---|---|---|
  | `:ring_bytes` | 32 MiB for all schedulers together, at most 8 MiB each | the ring of one scheduler; an event takes a quarter of it at most |
  | `:segment_bytes` | 16 MiB | one file of the store; larger where one event may need it (a quarter of `:ring_bytes`) |
  | `:value_bytes` | 64 KiB | the values of one event |
  | `:state_bytes` | 512 KiB | one state |
  | `:depth` | 10,000 | how deep a term is walked |
  | `:elements` | 200,000 | elements of the terms of one event |
  | `:trigger_ms` | 10,000 | milliseconds between two snapshots that triggers take |

  Each scheduler writes its events into a ring of its own, and a thread writes them from there into the store, every 10 ms or
  when a ring is half full. When a scheduler makes events faster than that thread can take them, its ring is full:

  | `:overflow` | then |
  |---|---|
  | `:drop_new` | the new event is dropped, and counted. The program never waits |
  | `:overwrite` | the oldest events of the ring make room, and are counted. This is a *flight recording*: nothing goes from the rings to the store until `ElixirScope.snapshot/1`, a trigger, `ElixirScope.stop/0` or the end of the VM, so it may run for ever: events take neither disk nor memory beyond the rings |
  | `{:block, microseconds}` | the scheduler waits for room, so long at most (1 to 1,000,000), and then drops the event, and counts it. Meanwhile it runs nothing: no other process of its queue, no timer, no port, and whatever needs all schedulers, such as loading code, waits too. For tests and benches that must not lose an event, not for production |

  Of a flight recording, snapshots and the names of new processes, atoms and functions are what grows on disk: some 60 bytes
  for each process that makes an event. `:trigger` is a list of `:raise` (an exception of kind `:error` leaves an
  instrumented function) and `:exit` (one of kind `:exit` does). What triggers earlier than `:trigger_ms` after the last
  such snapshot makes one when that time is over.

  | `:retain` | default | meaning |
  |---|---|---|
  | `:bytes` | 4 GiB, or `:infinity` | what the segments of the recording take at most; older recordings beside it are removed while all of them take more |
  | `:age` | `:infinity` | how long an event is kept at least, such as `{15, :minute}` |

  The oldest segments are removed whole. The state of a process is not cut off by that: of what is removed the last state of
  each process stays. Questions about the time before say that events are missing, because they were removed.

  `:instrument` is a keyword list, or `false`. It is read when the project is compiled, so it stands in `config/config.exs`, not
  in `runtime.exs`; `mix help compile.elixir_scope` has the line for `mix.exs`.

  | key | default | meaning |
  |---|---|---|
  | `:apps` | all that have the compiler in their `mix.exs` | applications, dependencies among them: `[:shop, :jason]` |
  | `:only` | all | modules and patterns: `[Shop.Cart, "Shop.Order.*"]`; a star stands for any text |
  | `:except` | none | modules, patterns and functions: `[Shop.Repo, {Shop.Cart, :total}, {Shop.Cart, :add, 2}]` |
  | `:args`, `:returns`, `:receives`, `:state`, `:agents` | `true` | as in `use ElixirScope` |
  | `:locals` | `false` | as in `use ElixirScope` |

  What a limit, or `:redact`, keeps out of a term is marked there with `ElixirScope.Cut`.

      iex> {:ok, options} = ElixirScope.Options.read(dir: "/tmp/scope", limits: [depth: 3])
      iex> {options.dir, options.depth, options.value_bytes}
      {"/tmp/scope", 3, 65_536}

      iex> {:error, error} = ElixirScope.Options.read(dri: "/tmp/scope")
      iex> error.message
      "unknown option :dri (given: \\"/tmp/scope\\"); the options are :enabled, :dir, :keep, :retain, :pack, :overflow, :trigger, :watch, :redact, :logs, :telemetry, :limits and :instrument"
  """

  alias ElixirScope.{Error, Redaction}

  @limits [
    segment_bytes: 16 * 1024 * 1024,
    value_bytes: 64 * 1024,
    state_bytes: 512 * 1024,
    depth: 10_000,
    elements: 200_000,
    trigger_ms: 10_000
  ]
  # The smallest value that makes sense, and the largest that the format or the machine allows.
  @ranges [
    ring_bytes: {64 * 1024, 1024 * 1024 * 1024},
    segment_bytes: {1024 * 1024, 2 * 1024 * 1024 * 1024},
    value_bytes: {64, 64 * 1024 * 1024},
    state_bytes: {64, 256 * 1024 * 1024},
    depth: {1, 10_000_000},
    elements: {1, 100_000_000},
    trigger_ms: {0, 86_400_000}
  ]
  @known [:enabled, :dir, :keep, :retain, :pack, :overflow, :trigger, :watch, :redact, :logs, :telemetry] ++
           [:limits, :instrument]
  @retained 4 * 1024 * 1024 * 1024
  @units [second: 1, minute: 60, hour: 3600, day: 86_400]
  @longest_block 1_000_000
  @oldest 100 * 365 * 86_400

  @type t :: %{
          dir: Path.t(),
          keep: pos_integer,
          retain_bytes: pos_integer | nil,
          retain_age: pos_integer | nil,
          pack: boolean,
          ring_bytes: pos_integer,
          segment_bytes: pos_integer,
          value_bytes: pos_integer,
          state_bytes: pos_integer,
          depth: pos_integer,
          elements: pos_integer,
          trigger_ms: non_neg_integer,
          overflow: :drop_new | :overwrite | {:block, pos_integer},
          trigger: [:raise | :exit],
          redact: Redaction.t(),
          # Checked where it is known what this VM can tell.
          watch: term,
          # Checked where frameworks are known.
          logs: term,
          telemetry: term
        }

  @doc """
  Checks options and fills in the defaults.
  """
  @spec read(keyword) :: {:ok, t} | {:error, Error.t()}
  def read(options) do
    with :ok <- keyword(options, "options", "start(dir: \"...\")"),
         :ok <- known(options, @known, "option"),
         {:ok, _} <- boolean(:enabled, Keyword.get(options, :enabled, true)),
         {:ok, dir} <- dir(Keyword.get(options, :dir, "_build/scope")),
         {:ok, keep} <- number(:keep, Keyword.get(options, :keep, 10), {1, 1_000_000}),
         {:ok, retain} <- retain(Keyword.get(options, :retain, [])),
         {:ok, pack} <- boolean(:pack, Keyword.get(options, :pack, true)),
         {:ok, overflow} <- overflow(Keyword.get(options, :overflow, :drop_new)),
         {:ok, trigger} <- trigger(Keyword.get(options, :trigger, []), overflow),
         {:ok, redact} <- Redaction.read(Keyword.get(options, :redact, [])),
         {:ok, limits} <- limits(Keyword.get(options, :limits, [])) do
      watch = Keyword.get(options, :watch, :default)

      own = %{
        dir: dir,
        keep: keep,
        pack: pack,
        overflow: overflow,
        trigger: trigger,
        watch: watch,
        redact: redact
      }

      frameworks = %{
        logs: Keyword.get(options, :logs, true),
        telemetry: Keyword.get(options, :telemetry, true)
      }

      {:ok, limits |> Map.merge(retain) |> Map.merge(own) |> Map.merge(frameworks)}
    end
  end

  @doc """
  Whether recording begins with the application: what the configuration says, else whether this is not `prod`. A
  release has no Mix and counts as `prod`.
  """
  @spec enabled?() :: boolean
  def enabled? do
    case Application.fetch_env(:elixir_scope, :enabled) do
      # What is neither `true` nor `false` is read, and then refused with a word about it.
      {:ok, enabled} -> enabled != false
      # A script has Mix at hand, but not running.
      :error -> List.keymember?(Application.started_applications(), :mix, 0) and Mix.env() != :prod
    end
  end

  defp keyword(options, what, example) do
    if Keyword.keyword?(options) do
      :ok
    else
      bad("expected #{what} as a keyword list such as #{example}, got: #{inspect(options)}")
    end
  end

  defp known(options, known, what) do
    case Enum.find(options, fn {key, _value} -> key not in known end) do
      nil ->
        :ok

      {key, value} ->
        {last, first} = List.pop_at(known, -1)
        list = "#{Enum.map_join(first, ", ", &inspect/1)} and #{inspect(last)}"
        bad("unknown #{what} #{inspect(key)} (given: #{inspect(value)}); the #{what}s are #{list}")
    end
  end

  # Expanded first: the folder of this VM may have a name that is no text.
  defp dir(dir) when is_binary(dir) and dir != "" do
    expanded = Path.expand(dir)
    if String.valid?(expanded), do: {:ok, expanded}, else: bad_dir(expanded)
  end

  defp dir(other), do: bad_dir(other)

  defp bad_dir(other), do: bad("expected :dir to be a path as a string of UTF-8, got: #{inspect(other)}")

  defp overflow(policy) when policy in [:drop_new, :overwrite], do: {:ok, policy}

  defp overflow({:block, microseconds} = block)
       when is_integer(microseconds) and microseconds in 1..@longest_block,
       do: {:ok, block}

  defp overflow(other) do
    bad(
      "expected :overflow to be :drop_new, :overwrite, or {:block, microseconds} with an integer from 1 to " <>
        "#{@longest_block}, got: #{inspect(other)}"
    )
  end

  defp trigger([], _overflow), do: {:ok, []}

  defp trigger(triggers, :overwrite) when is_list(triggers) do
    if List.improper?(triggers) or Enum.any?(triggers, &(&1 not in [:raise, :exit])),
      do: bad_trigger(triggers),
      else: {:ok, triggers}
  end

  defp trigger(other, :overwrite), do: bad_trigger(other)

  defp trigger(triggers, overflow) do
    bad(
      "expected :trigger to be a list, and together with overflow: :overwrite, since other recordings write down " <>
        "everything; got: trigger: #{inspect(triggers)}, overflow: #{inspect(overflow)}"
    )
  end

  defp bad_trigger(other) do
    bad("expected :trigger to be a list of :raise and :exit such as [:raise], got: #{inspect(other)}")
  end

  defp retain(given) do
    with :ok <- keyword(given, ":retain", "retain: [bytes: 1_000_000_000]"),
         :ok <- known(given, [:bytes, :age], "key of :retain"),
         {:ok, bytes} <- retained_bytes(Keyword.get(given, :bytes, @retained)),
         {:ok, age} <- retained_age(Keyword.get(given, :age, :infinity)) do
      {:ok, %{retain_bytes: bytes, retain_age: age}}
    end
  end

  defp retained_bytes(:infinity), do: {:ok, nil}
  # Eight segments of the smallest size; as much as a file system holds.
  @retainable {8 * 1024 * 1024, 1024 * 1024 * 1024 * 1024 * 1024}
  defp retained_bytes(bytes)
       when is_integer(bytes) and bytes >= elem(@retainable, 0) and bytes <= elem(@retainable, 1),
       do: {:ok, bytes}

  defp retained_bytes(other) do
    {low, high} = @retainable

    bad(
      "expected bytes: of :retain to be an integer from #{low} (8 MiB) to #{high} (1 PiB), or :infinity, got: #{inspect(other)}"
    )
  end

  defp retained_age(:infinity), do: {:ok, nil}

  defp retained_age({count, unit} = given) when is_integer(count) and count > 0 and is_atom(unit) do
    seconds = count * Keyword.get(@units, unit, 0)
    if seconds in 1..@oldest, do: {:ok, seconds * 1_000_000_000}, else: bad_age(given)
  end

  defp retained_age(other), do: bad_age(other)

  defp bad_age(other) do
    bad(
      "expected age: of :retain to be {15, :minute} (:second, :minute, :hour or :day, 100 years at most), or :infinity, got: #{inspect(other)}"
    )
  end

  defp boolean(_name, value) when is_boolean(value), do: {:ok, value}
  defp boolean(name, other), do: bad("expected #{inspect(name)} to be true or false, got: #{inspect(other)}")

  defp limits(given) do
    with :ok <- keyword(given, ":limits", "limits: [depth: 100]"),
         :ok <- known(given, Keyword.keys(@ranges), "limit") do
      limits = Keyword.merge([ring_bytes: ring_bytes()] ++ @limits, given)

      Enum.reduce_while(limits, {:ok, %{}}, fn {limit, value}, {:ok, read} ->
        case number(limit, value, @ranges[limit]) do
          {:ok, value} -> {:cont, {:ok, Map.put(read, limit, value)}}
          error -> {:halt, error}
        end
      end)
    end
  end

  defp number(_name, number, {low, high}) when is_integer(number) and number >= low and number <= high do
    {:ok, number}
  end

  defp number(name, other, {low, high}) do
    bad("expected #{inspect(name)} to be an integer from #{low} to #{high}, got: #{inspect(other)}")
  end

  # All rings together stay within the memory that is promised, however many schedulers there are.
  defp ring_bytes do
    div(32 * 1024 * 1024, System.schedulers()) |> max(256 * 1024) |> min(8 * 1024 * 1024)
  end

  defp bad(message), do: Error.new(:bad_option, message)
end
