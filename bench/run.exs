# Every promise of the documentation, measured: `mix scope.bench`, or `mix scope.bench hot_path queries` for some of the
# benches alone (then nothing is written). docs/proof.md says what each one is for and how to make it longer.

benches = [
  # Before those that use up all numbers for processes which the VM gives once: then a test's processes are found another way.
  assertions: Bench.Assertions,
  hot_path: Bench.HotPath,
  events: Bench.Events,
  encoding: Bench.Encoding,
  tracers: Bench.Tracers,
  watching: Bench.Watching,
  telemetry: Bench.Telemetry,
  state: Bench.State,
  cost: Bench.Cost,
  queries: Bench.Queries,
  service: Bench.Service,
  cargo: Bench.Cargo,
  compile_time: Bench.CompileTime
]

chosen =
  case System.argv() do
    [] -> benches
    names -> for {name, bench} <- benches, "#{name}" in names, do: {name, bench}
  end

if chosen == [], do: raise("expected benches among #{Enum.map_join(benches, " ", &elem(&1, 0))}")
for {name, _bench} <- chosen, do: Code.require_file("#{name}.exs", __DIR__)

cpu =
  case File.read("/proc/cpuinfo") do
    {:ok, text} -> Regex.run(~r/model name\s*: (.*)/, text, capture: :all_but_first) || ["unknown processor"]
    _ -> ["unknown processor"]
  end

parts =
  for {name, bench} <- chosen do
    started = System.monotonic_time(:second)
    part = bench.run()
    IO.puts(:stderr, "#{name}: #{System.monotonic_time(:second) - started} s")
    part
  end

text = """
# Results

Measured by `make bench` (`mix scope.bench` for what needs the VM, `cargo bench` for the rest; docs/proof.md).
These machines are noisy: read the ratios, each taken within one run; times are medians of rounds where nothing else is said.

Machine: #{cpu}, #{System.schedulers_online()} schedulers; Elixir #{System.version()} on OTP #{System.otp_release()}; #{Date.utc_today()}.

#{Enum.join([Bench.Table.promises() | parts], "\n")}
"""

IO.puts(text)
if chosen == benches, do: File.write!(Path.join(__DIR__, "RESULTS.md"), text)
