# A VM in which protocols are not consolidated: what Recordable says of structs that lie in the code path, and of one that
# was made just now.
defmodule Late do
  @derive {ElixirScope.Recordable, only: [:kept]}
  defstruct [:kept, :gone]
end

{:ok, asked} = ElixirScope.Redaction.read([])
{:ok, rules} = ElixirScope.Redaction.rules(asked)
account = ElixirScope.Redacted.Account
[{_, kind, fields}] = for {^account, _, _} = view <- rules.views, do: view
[secret] = for {^account, field} <- rules.fields, do: field
{Late, :only, [late]} = List.keyfind(rules.views, Late, 0)

IO.puts(
  "#{System.pid()} consolidated #{Protocol.consolidated?(ElixirScope.Recordable)} views #{kind}:#{Enum.join(fields, ",")} secret #{secret} late #{late}"
)

defmodule Failing do
  defstruct [:pin]

  defimpl ElixirScope.Recordable do
    def view(_struct), do: :all
    def secret(_struct), do: raise("who knows")
  end
end

{:error, error} = ElixirScope.Redaction.rules(asked)
IO.puts(error.message)
{:error, ^error} = ElixirScope.start(dir: System.tmp_dir!())
IO.puts("nothing begins")
# Until it is killed: who reads this may close it.
Process.sleep(:infinity)
