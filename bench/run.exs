Code.require_file("hot_path.exs", __DIR__)
Code.require_file("encoding.exs", __DIR__)
Code.require_file("cost.exs", __DIR__)
Code.require_file("compile_time.exs", __DIR__)

cpu =
  case File.read("/proc/cpuinfo") do
    {:ok, text} -> Regex.run(~r/model name\s*: (.*)/, text, capture: :all_but_first) || ["unknown processor"]
    _ -> ["unknown processor"]
  end

text = """
# Results

Measured by `make bench` (`mix scope.bench` for what needs the VM, `cargo bench` for the rest).
These machines are noisy: read the ratios, each taken within one run; times are medians of 41 rounds.

Machine: #{cpu}, #{System.schedulers_online()} schedulers; Elixir #{System.version()} on OTP #{System.otp_release()}; #{Date.utc_today()}.

#{Bench.HotPath.run()}
#{Bench.Encoding.run()}
#{Bench.Cost.run()}
#{Bench.CompileTime.run()}
"""

IO.puts(text)
File.write!(Path.join(__DIR__, "RESULTS.md"), text)
