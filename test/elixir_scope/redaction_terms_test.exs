defmodule ElixirScope.RedactionTermsTest do
  # Random terms with secrets in them, where names say so, at any depth: the encoder writes none of them, in whatever way it reads terms.
  # How terms are read is switched for the whole VM.
  use ExUnit.Case, async: false

  alias ElixirScope.{Cut, Native, Terms}
  alias ElixirScope.Traced.Echo

  @moduletag :tmp_dir

  defmodule Card do
    @moduledoc false
    defstruct [:holder, :number, :history]
  end

  @secret "s3cr3t"
  @redact [keys: ["*_pin"], fields: [{Card, :number}]]

  setup %{tmp_dir: dir} do
    {:ok, recording} = ElixirScope.start(dir: dir, redact: @redact)

    on_exit(fn ->
      Native.layout(true)
      {:ok, _} = ElixirScope.start()
    end)

    %{recording: recording, seed: :rand.seed(:exsss, {1, 2, System.unique_integer()})}
  end

  test "a random term with secrets is written without them", %{seed: seed} do
    for _ <- 1..1_500 do
      term = planted(7)
      {:ok, bytes} = Native.encoded(term, false)
      refute_in(bytes, term, seed)
    end
  end

  test "and is written in the same way where the VM is asked what terms are", %{seed: seed} do
    terms = for _ <- 1..1_500, do: planted(6)

    for limited? <- [false, true] do
      Native.layout(true)
      read = Enum.map(terms, &Native.encoded(&1, limited?))
      Native.layout(false)

      for {term, read} <- Enum.zip(terms, read),
          do: assert(read == Native.encoded(term, limited?), "#{inspect(term)} with #{inspect(seed)}")
    end
  end

  test "so is the difference of two of them", %{seed: seed} do
    for round <- 1..1_500 do
      Native.layout(rem(round, 2) == 0)
      old = planted(6)
      new = Enum.random([planted(6), changed(old)])
      {:ok, patch} = Native.difference(old, new)
      refute_in(patch, {old, new}, seed)
      {:ok, patch} = Native.difference(%{state: old, list: [old, 1]}, %{state: new, list: [new, 1]})
      refute_in(patch, {old, new}, seed)
    end
  end

  test "and all bytes of a recording of them", %{recording: recording, seed: seed} do
    for _ <- 1..400, do: Echo.echo(planted(7))
    assert found(recording) == [], inspect(seed)
    :ok = ElixirScope.stop()
    assert found(recording) == [], inspect(seed)
    {:ok, opened} = ElixirScope.open(recording.path)
    assert length(ElixirScope.calls(&Echo.echo/1, in: opened)) == 400
  end

  test "what is no secret stays as it is", %{seed: seed} do
    terms = for _ <- 1..400, do: Terms.random(6)
    Enum.each(terms, &Echo.echo/1)
    kept = for call <- ElixirScope.calls(&Echo.echo/1), do: hd(call.args)
    assert kept === terms, inspect(seed)
  end

  test "each place is cut for itself" do
    redacted = %Cut{kind: :redacted}
    large = Map.new(1..40, &{:"key#{&1}", &1})
    url = "https://example.org/x?a=1&token="

    for {term, expected} <- [
          {%{password: "x", name: "y"}, %{password: redacted, name: "y"}},
          {%{"X-Api-Key" => "x", 1 => 2}, %{"X-Api-Key" => redacted, 1 => 2}},
          {%{accessToken: 1, token: []}, %{accessToken: redacted, token: []}},
          {%{token: nil, door_pin: {1, 2}}, %{token: redacted, door_pin: redacted}},
          {Map.put(large, :cookie, "x"), Map.put(large, :cookie, redacted)},
          {[password: "x", name: "y"], [password: redacted, name: "y"]},
          {{"authorization", "x"}, {"authorization", redacted}},
          {{~c"set-cookie", ~c"x"}, {~c"set-cookie", redacted}},
          {{:password, "x", 1}, {:password, "x", 1}},
          {%{inner_content: ["<p>"], live_socket_id: "x", page: 1},
           %{inner_content: redacted, live_socket_id: redacted, page: 1}},
          {%{"live_socket_id" => "x"}, %{"live_socket_id" => redacted}},
          {%Card{holder: "y", number: 7}, %Card{holder: "y", number: redacted}},
          {MapSet.new([:password, :name]), MapSet.new([:password, :name])},
          {url <> "x", url <> "[redacted]"},
          {~c"password=x", ~c"password=[redacted]"},
          {[0 | ~c"password=x"], [0 | ~c"password=x"]},
          {"Bearer abc.def.ghi", "Bearer [redacted]"},
          {"ecto://user:x@host/db", "ecto://user:[redacted]@host/db"},
          {"tokens: 12", "tokens: 12"},
          {[tokens: 12], [tokens: 12]}
        ] do
      Echo.echo(term)
      assert List.last(ElixirScope.calls(&Echo.echo/1)).args === [expected]
    end
  end

  test "a text that is cut within a secret keeps no part of it" do
    for size <- 200..300 do
      Echo.echo(:binary.copy("x", size) <> " password: \"" <> :binary.copy("s3cr3t", 20_000))
      assert [%Cut{kind: :binary, kept: kept}] = List.last(ElixirScope.calls(&Echo.echo/1)).args
      refute kept =~ "s3c"
    end
  end

  test "a function is recorded when it holds nothing that may be a secret, else its name" do
    [text, number] = [Enum.random(["a", "b"]), :rand.uniform(9)]
    user = %{name: text, tags: [text]}

    for {fun, kept?} <- [
          {fn -> number end, true},
          {fn -> user end, true},
          {&String.length/1, true},
          {fn -> {user, [mail: user.name]} end, true},
          {fn -> text end, false},
          {fn -> [text | number] end, false},
          {with_map(%{token: number}), false},
          {with_map(%{line: "token=" <> text}), false},
          {with_map(%Card{number: number}), false},
          {with_map([fn -> text end]), false}
        ] do
      Echo.echo(fun)
      assert [recorded] = List.last(ElixirScope.calls(&Echo.echo/1)).args

      if kept?,
        do: assert(recorded == fun),
        else:
          assert(%Cut{kind: :redacted, kept: "#Fun<Elixir.ElixirScope.RedactionTermsTest" <> _} = recorded)
    end
  end

  defp with_map(map), do: fn -> map end

  defp refute_in(bytes, term, seed) do
    case :binary.match(bytes, @secret) do
      :nomatch ->
        :ok

      {at, _size} ->
        before = binary_part(bytes, max(at - 80, 0), min(at, 80))
        flunk("behind #{inspect(before)} of #{inspect(term, limit: 50)} with #{inspect(seed)}")
    end
  end

  # A term with secrets in it.
  defp planted(size) when size <= 0, do: Enum.random([Terms.leaf(), with_secret(0)])

  defp planted(size) do
    case :rand.uniform(9) do
      1 -> Enum.map(1..3, fn _ -> planted(size - 2) end)
      2 -> {planted(size - 2), :x, planted(size - 3)}
      3 -> Map.new(1..3, &{{&1, Terms.leaf()}, planted(size - 2)})
      4 -> Map.new(1..40, &{&1, &1}) |> Map.put("session_token", secret()) |> Map.put(:x, planted(size - 3))
      5 -> [planted(size - 2) | planted(size - 3)]
      6 -> Terms.random(size)
      _ -> with_secret(size)
    end
  end

  defp with_secret(size) do
    case :rand.uniform(9) do
      1 -> %{name() => secret(), other: planted(size - 2)}
      2 -> {name(), secret()}
      3 -> [{:name, planted(size - 3)}, {name(), secret()}]
      4 -> %Card{holder: planted(size - 3), number: secret()}
      5 -> "a=1 #{name()}=#{@secret}&b=2"
      6 -> inspect(%{name() => @secret, name: "y"})
      7 -> String.to_charlist("#{name()}: \"#{@secret} #{@secret}\" x")
      8 -> with_map(%{name() => secret(), 1 => planted(size - 3)})
      9 -> fn -> {@secret <> "#{size}", size} end
    end
  end

  defp name do
    Enum.random([
      :password,
      :api_key,
      "password",
      "Set-Cookie",
      "X-Auth-Token",
      :door_pin,
      :userPassword,
      "ssn"
    ])
  end

  defp secret, do: Enum.random([@secret, [@secret], %{x: @secret}, {1, @secret}, :s3cr3t, fn -> @secret end])

  # The same with other values here and there.
  defp changed(term) when is_struct(term), do: term
  defp changed(%{} = map), do: Map.new(map, fn {key, value} -> {key, changed(value)} end)
  defp changed([head | tail]), do: [changed(head) | if(:rand.uniform(5) == 1, do: [], else: changed(tail))]
  defp changed({key, value}), do: {key, changed(value)}

  defp changed(text) when is_binary(text),
    do: Enum.random([text, text <> "password=" <> @secret, @secret |> named()])

  defp changed(number) when is_integer(number), do: Enum.random([number, number + 1])
  defp changed(other), do: other

  defp named(text), do: "password: #{text}"

  defp found(recording) do
    for file <- Path.wildcard(Path.join(recording.path, "**")),
        # The sources of what is recorded hold nothing of a test.
        File.regular?(file),
        :binary.match(File.read!(file), @secret) != :nomatch,
        do: file
  end
end
