defmodule ElixirScope.Native do
  @moduledoc false
  # The functions of the native library (`native/nif`), one line each. What they record and answer is said there.
  # Rewritten code calls those of the first group directly; everything else comes through `ElixirScope.Recorder`
  # and `ElixirScope.Query`.

  @on_load :load

  def load do
    path = :filename.join(:code.priv_dir(:elixir_scope), ~c"native/elixir_scope_nif")

    case :erlang.load_nif(path, 0) do
      :ok -> :ok
      {:error, {reason, text}} -> {:error, "#{reason}: #{text}"}
    end
  end

  # Capture: called by rewritten code.
  for arity <- 1..13 do
    def enter(unquote_splicing(Macro.generate_arguments(arity, __MODULE__))), do: absent(:enter)
  end

  def enter_list(_site, _args), do: absent(:enter_list)
  def enter_bare(_site), do: absent(:enter_bare)
  def enter_callback(_site, _args, _state), do: absent(:enter_callback)
  def leave(_site, _value), do: absent(:leave)
  def leave_callback(_site, _value, _state), do: absent(:leave_callback)
  def left(_site), do: absent(:left)
  def raised(_site, _kind, _reason, _stack), do: absent(:raised)
  def tail(_site, _ended), do: absent(:tail)

  for arity <- 2..13 do
    def bind(unquote_splicing(Macro.generate_arguments(arity, __MODULE__))), do: absent(:bind)
  end

  def bind_list(_site, _values), do: absent(:bind_list)
  def bind_callback(_site, _values, _state), do: absent(:bind_callback)
  def wait(_site), do: absent(:wait)
  def take(_site, _message), do: absent(:take)
  def expired(_site), do: absent(:expired)
  def state(_site, _origin, _known, _state), do: absent(:state)
  def introduce(_map), do: absent(:introduce)
  def introduce_other(_pid, _map), do: absent(:introduce_other)
  def count(_site), do: absent(:count)
  def mark(_label), do: absent(:mark)
  def log(_level, _text, _metadata), do: absent(:log)
  def log(_level, _text, _metadata, _pid), do: absent(:log)
  def telemetry(_name, _measurements, _metadata), do: absent(:telemetry)
  def mute, do: absent(:mute)
  def unmute(_pid), do: absent(:unmute)
  def speak, do: absent(:speak)
  def secret(_key), do: absent(:secret)
  def sensitive(_flag), do: absent(:sensitive)
  def sensitive_other(_pid), do: absent(:sensitive_other)
  def put_source(_digest, _packed), do: absent(:put_source)
  def generation, do: absent(:generation)
  def baseline, do: absent(:baseline)

  # Watching: the first two are called by the VM.
  def enabled(_tag, _state, _tracee), do: absent(:enabled)
  def trace(_tag, _state, _tracee, _term, _options), do: absent(:trace)
  def watch(_number, _kinds), do: absent(:watch)
  def forget, do: absent(:forget)

  # Session.
  def own, do: absent(:own)
  def hear, do: absent(:hear)
  def start(_options), do: absent(:start)
  def stop(_handle), do: absent(:stop)
  def pause(_handle), do: absent(:pause)
  def resume(_handle), do: absent(:resume)
  def flush(_handle), do: absent(:flush)
  def snapshot(_handle), do: absent(:snapshot)
  def flight(_handle), do: absent(:flight)
  def now, do: absent(:now)
  def open(_path), do: absent(:open)

  # Queries.
  def events(_handle, _filter, _from, _limit), do: absent(:events)
  def events_before(_handle, _filter, _before, _limit), do: absent(:events_before)
  def count_events(_handle, _filter), do: absent(:count_events)
  def seen(_handle, _processes), do: absent(:seen)
  def earliest(_handle, _filter, _count), do: absent(:earliest)
  def open_calls(_handle, _process, _before), do: absent(:open_calls)
  def around(_handle, _process, _numbers), do: absent(:around)
  def began(_handle, _process, _end), do: absent(:began)
  def gaps(_handle, _from, _to), do: absent(:gaps)
  def marks(_handle), do: absent(:marks)
  def calls(_handle, _filter, _limit), do: absent(:calls)
  def messages(_handle, _wanted), do: absent(:messages)
  def state_at(_handle, _process, _time), do: absent(:state_at)
  def states(_handle, _process, _path, _span, _before, _limit), do: absent(:states)
  def has_process(_handle, _process), do: absent(:has_process)
  def named(_handle, _name, _time), do: absent(:named)
  def processes(_handle), do: absent(:processes)
  def family(_handle, _test), do: absent(:family)
  def family_soon(_handle, _test), do: absent(:family_soon)
  def family_calls(_handle, _test, _function), do: absent(:family_calls)
  def family_calls_soon(_handle, _test, _function), do: absent(:family_calls_soon)
  def state_soon(_handle, _process, _since), do: absent(:state_soon)
  def missing(_handle, _from, _to), do: absent(:missing)
  def sites(_handle), do: absent(:sites)
  def sites_of(_handle, _module, _function, _arity), do: absent(:sites_of)
  def source(_handle, _digest), do: absent(:source)
  def bounds(_handle), do: absent(:bounds)
  def stats(_handle, _filter, _reached), do: absent(:stats)
  def message_pairs(_handle, _wanted), do: absent(:message_pairs)
  def stacks(_handle, _filter, _reached, _by_process), do: absent(:stacks)
  def summary(_handle), do: absent(:summary)
  def verify(_handle, _segment), do: absent(:verify)

  # Tests and benches of the encoder.
  def layout(_used), do: absent(:layout)
  def encoded(_term, _limited), do: absent(:encoded)
  def difference(_old, _new), do: absent(:difference)
  def patched(_old, _patch), do: absent(:patched)
  def weigh(_way, _term, _rounds, _limited), do: absent(:weigh)

  # `nif_error` tells compilers and type checkers that the true function may return anything.
  defp absent(function) do
    :erlang.nif_error(%ElixirScope.Error{
      reason: :not_loaded,
      message:
        "the native library of ElixirScope is not loaded, so #{function} cannot run; " <>
          "compile it again with `mix deps.compile elixir_scope --force`"
    })
  end
end
