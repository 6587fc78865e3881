defmodule ElixirScope.Case.Asking do
  @moduledoc false
  # Which functions of OTP and of Elixir wait for what somebody gives who is at work on it: an answer of a server or of the VM, the end
  # of a process or of a program that was started. A process that waits in one of these is not done: the code server answers
  # each that calls a module for the first time, and in tests modules are loaded lazily.
  #
  # Named are those of OTP 25 to 29 and Elixir 1.14 to 1.20 with a `receive` in them (`beam_disasm` says which these are: `wait` and
  # `wait_timeout`), save those
  # - in which servers, and what belongs to a server, wait for whatever comes (`gen_server:loop`),
  # - that wait for a time to pass (`timer:sleep`),
  # - that wait for what another may never say: `prim_inet:accept0` and `recv0`, where the servers of an application wait for clients.

  # All that wait in these do so for an answer.
  @modules [
    :code,
    :erl_ddll,
    :erpc,
    :erts_internal,
    :file,
    :gen,
    :io,
    :mnesia_schema,
    :os,
    :proc_lib,
    :ram_file,
    Kernel.ErrorHandler,
    Kernel.ParallelCompiler,
    Module.ParallelChecker,
    System,
    Task
  ]

  @functions [
    application_master: [:call],
    code_server: [:call],
    compile: [:do_compile],
    cover: [:call, :pmap_collect, :remote_call],
    dets: [:req],
    disk_log: [:monitor_request],
    dtls_gen_connection: [:start_fsm],
    dtls_socket: [:close_listen],
    eldap: [:recv],
    elixir_erl_compiler: [:spawn],
    elixir_module: [:make_module_available],
    epp: [:close, :parse_file, :wait_epp_reply],
    erl_epmd: [:do_get_names, :names_loop],
    erl_prim_loader: [:request],
    erts_code_purger: [:purge, :soft_purge, :finish_after_on_load, :cpc_receive, :test_progress],
    ets: [:receive_all],
    file_io_server: [:do_start],
    gen_server: [:do_multi_call, :rec_nodes, :mc_recv, :mc_cancel_timer],
    gen_statem: [:call_clean],
    # Between two attempts to take a lock that somebody holds.
    global: [:random_sleep, :lock_is_set],
    httpc: [:handle_answer],
    inet_gethost_native: [:getit, :wait_reply],
    inet_res: [:servfail_retry_wait],
    inet_sctp: [:connect_get_assoc],
    init: [:request, :wait_until_started],
    mnesia_bup: [:do_install_fallback, :rec_answers, :do_uninstall_fallback, :rec_uninstall],
    mnesia_checkpoint: [:call],
    mnesia_controller: [:do_wait_for_tables, :rec_tabs, :connect_nodes, :get_info, :get_workers],
    mnesia_dumper: [:regulate],
    mnesia_frag: [:local_collect],
    mnesia_locker: [
      :do_sticky_lock,
      :flush_remaining,
      :get_held_locks,
      :get_lock_queue,
      :l_req_rec,
      :receive_release_tid_acc,
      :receive_wlocks,
      :sticky_flush
    ],
    mnesia_tm: [
      :get_dirty_reply,
      :get_info,
      :rec,
      :rec_acc_pre_commit,
      :rec_all,
      :sync_schema_commit,
      :wait_for_best_friend
    ],
    net_adm: [:collect_new],
    net_kernel: [:passive_connect_monitor],
    peer: [:start_it, :wait_disconnected],
    prim_inet: [
      :close_pend_loop,
      :close_port,
      :connect0,
      :connect_cmd,
      :connectx0,
      :do_sendto,
      :getopts,
      :peeloff,
      :send,
      :send_recv_reply,
      :sendfile_1
    ],
    pubkey_os_cacerts: [:cmd_data],
    qlc: [:monitor_request, :stop_cursor],
    rpc: [:do_srv_call, :rec_nodes, :server_call],
    slave: [:wait_for_slave],
    socket: [
      :close,
      :connect_deadline,
      :send_deadline,
      :send_deadline_cont,
      :sendfile_deadline,
      :sendmmsg_deadline,
      :sendmsg_deadline,
      :sendmsg_deadline_cont,
      :sendto_deadline,
      :sendto_deadline_cont,
      :sendv_deadline,
      :sendv_deadline_cont
    ],
    socket_registry: [:request],
    ssh: [:daemon],
    ssh_connection_handler: [:handshake],
    supervisor: [:shutdown, :unlink_flush, :wait_dynamic_children],
    tls_gen_connection: [:start_fsm],
    zip: [:request],
    "Elixir.DynamicSupervisor": [:monitor_child, :wait_children],
    "Elixir.ExUnit.OnExitHandler": [:receive_runner_reply, :terminate_supervisor],
    "Elixir.Task.Supervised": [:stream_close, :stream_reduce, :stream_spawn]
  ]

  @doc "Whether a process that is in this function, as `Process.info(pid, :current_function)` says, and waits there, waits for an answer."
  @spec waits?(mfa) :: boolean
  # Of the VM itself. Who hibernates waits for whatever comes.
  def waits?({:erlang, name, _arity}), do: name != :hibernate
  def waits?({module, _name, _arity}) when module in @modules, do: true

  for {module, names} <- @functions do
    def waits?({unquote(module), name, _arity}), do: name in unquote(names)
  end

  def waits?(_another), do: false

  @doc """
  The same of one that is suspended. The VM suspends who has to wait for it (for the right to change code, or for a port that is busy), in one
  of its own functions; and who is suspended by another (`:erlang.suspend_process/1`) rests, wherever it was.
  """
  @spec suspended?(mfa) :: boolean
  def suspended?({:erlang, name, _arity}) when name in [:apply, :hibernate], do: false
  def suspended?({module, name, arity} = at), do: waits?(at) or :erlang.is_builtin(module, name, arity)
end
