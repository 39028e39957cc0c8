# bash completion for netserver. Written by go run ./packaging.
# Install it as /usr/share/bash-completion/completions/netserver.

# _netserver_reply ARG... has compgen answer, one word on a line.
_netserver_reply() {
	local IFS=$' \t\n'
	mapfile -t COMPREPLY < <(compgen "$@")
}

# _netserver_value KEY PREFIX completes the value of a key.
_netserver_value() {
	case $1 in
	proto) _netserver_reply -W 'tcp udp ssl unix unixssl unixdgram' -- "$2" ;;
	unix_type) _netserver_reply -W 'SOCK_STREAM SOCK_DGRAM' -- "$2" ;;
	ipv) _netserver_reply -W '4 6 *' -- "$2" ;;
	server_type) _netserver_reply -W 'Fork Single PreForkSimple PreFork Multiplex INET HTTP MultiType' -- "$2" ;;
	unknown_keys) _netserver_reply -W 'refuse warn' -- "$2" ;;
	log_level) _netserver_reply -W '0 1 2 3 4' -- "$2" ;;
	log_format) _netserver_reply -W 'line json' -- "$2" ;;
	check|background|setsid|strict_files|leave_children_open_on_hup|admin_public|admin_write|admin_pprof|acme_agree|transparent|backend_tls|backend_verify|http|enable_dispatch|allow_body_on_all_statuses|echo_control|exec_pipes|exec_substitute|exec_pty|limits_shadow|penalty_close|reuse_port|freebind|udp_broadcast|rules_close|SSL_force_fingerprint|SSL_honor_cipher_order|SSL_mode_release_buffers|SSL_ocsp_staple|SSL_server|SSL_startHandshake|SSL_use_cert) _netserver_reply -W '0 1' -- "$2" ;;
	no_new_privs|landlock|seccomp|key_isolation|supervisor) _netserver_reply -W 'auto 0 1' -- "$2" ;;
	acme_challenge) _netserver_reply -W 'tls-alpn-01 http-01' -- "$2" ;;
	cluster_start) _netserver_reply -W 'alone refuse' -- "$2" ;;
	backend_proxy_protocol) _netserver_reply -W 'off v1 v2' -- "$2" ;;
	backend_proxy_received) _netserver_reply -W 'merge pass replace' -- "$2" ;;
	echo) _netserver_reply -W 'lines net-server raw' -- "$2" ;;
	exec_stderr) _netserver_reply -W 'log client drop inherit' -- "$2" ;;
	handshake_queue) _netserver_reply -W 'fair none' -- "$2" ;;
	health) _netserver_reply -W '0 1 http' -- "$2" ;;
	proxy_protocol) _netserver_reply -W 'off require accept' -- "$2" ;;
	SSL_check_crl) _netserver_reply -W '0 1 chain' -- "$2" ;;
	SSL_crl_policy) _netserver_reply -W 'closed expired open' -- "$2" ;;
	SSL_ocsp_check) _netserver_reply -W 'off soft hard' -- "$2" ;;
	SSL_unexpected_eof) _netserver_reply -W 'end reset' -- "$2" ;;
	SSL_unknown_sni) _netserver_reply -W 'default refuse' -- "$2" ;;
	conf_file|log_file|access_log_file|cert|pid_file|control_socket|acme_ca_file|acme_eab_key_file|cluster_key_file|cluster_password_file|cluster_ca_file|cluster_cert_file|backend_ca_file|backend_crl_file|backend_cert_file|backend_key_file|backend_passwd_file|allow_file|deny_file|cidr_allow_file|cidr_deny_file|SSL_allow_file|SSL_ca_file|SSL_cert_file|SSL_client_ca_file|SSL_crl_file|SSL_key_file|SSL_ocsp_staple_file|SSL_passwd_file|SSL_ticket_key_file) compopt -o filenames; _netserver_reply -f -- "$2" ;;
	chroot|landlock_write|acme_storage|backend_ca_path|http_root|exec_dir|exec_cgroup|SSL_ca_path|SSL_cert_dir|SSL_crl_path) compopt -o filenames; _netserver_reply -d -- "$2" ;;
	SSL_passwd_command) _netserver_reply -c -- "$2" ;;
	user|exec_user|unix_owner|unix_allow_user) _netserver_reply -u -- "$2" ;;
	group|unix_group|unix_allow_group) _netserver_reply -g -- "$2" ;;
	esac
}

_netserver() {
	local cur=${COMP_WORDS[COMP_CWORD]} prev= key= i
	((COMP_CWORD > 0)) && prev=${COMP_WORDS[COMP_CWORD - 1]}
	COMPREPLY=()
	for ((i = 1; i < COMP_CWORD; i++)); do
		if [[ ${COMP_WORDS[i]} == -- ]]; then
			if declare -F _comp_command_offset >/dev/null; then
				_comp_command_offset $((i + 1))
			elif declare -F _command_offset >/dev/null; then
				_command_offset $((i + 1))
			elif ((i + 1 == COMP_CWORD)); then
				_netserver_reply -c -- "$cur"
			else
				compopt -o filenames
				_netserver_reply -f -- "$cur"
			fi
			return
		fi
	done
	if [[ ${COMP_WORDS[1]} == ctl ]] && ((COMP_CWORD > 1)); then
		((COMP_CWORD == 2)) && _netserver_reply -W 'status reload drain stop conns kill limits penalties targets certs metrics explain top health' -- "$cur"
		return
	fi
	if [[ $prev == help || $prev == --help || $prev == -h ]]; then
		_netserver_reply -W 'all access admission backend certificate handlers http limits log mtls ports process program tls udp' -- "$cur"
		return
	fi
	# With = among the word breaks, as it is by default, --key=value is three
	# words.
	if [[ $cur == = ]]; then
		key=$prev cur=
	elif [[ $prev == = ]] && ((COMP_CWORD > 2)); then
		key=${COMP_WORDS[COMP_CWORD - 2]}
	elif [[ $cur == --*=* ]]; then
		key=${cur%%=*} cur=${cur#*=}
	elif [[ $prev == --?* && $cur != --* ]]; then
		key=$prev
		case ${key#--} in
		help|version|check|background|setsid|strict_files|admin_public|admin_write|admin_pprof|acme_agree|transparent|backend_tls|http|enable_dispatch|allow_body_on_all_statuses|echo_control|exec_pipes|exec_substitute|exec_pty|limits_shadow|penalty_close|reuse_port|freebind|udp_broadcast|rules_close) key= ;; # they stand alone
		esac
	fi
	if [[ -n $key ]]; then
		_netserver_value "${key#--}" "$cur"
		return
	fi
	case $cur in
	-*)
		[[ $cur == - ]] && cur=
		_netserver_reply -P -- -W "help version 
		port host proto unix_type ipv server_type conf_file unknown_keys
		log_level log_file access_log_file log_format check peer peer_host
		cert sni alpn syslog_ident syslog_facility syslog_logopt
		syslog_logsock access_log_limit user group chroot umask no_new_privs
		landlock landlock_write seccomp key_isolation sign_rate limit_nofile
		limit_core limit_nproc limit_as limit_memlock pid_file background
		setsid strict_files supervisor hup_grace leave_children_open_on_hup
		worker_timeout sig_passthrough control_socket control_mode
		control_owner admin admin_public admin_write admin_hosts admin_pprof
		min_servers min_spare_servers max_spare_servers max_requests
		clients_per_server check_for_waiting min_child_ttl check_for_dead
		check_for_spawn check_for_dequeue max_dequeue dequeue_command
		acme_domains acme_agree acme_storage acme_challenge acme_email
		acme_directory acme_ca_file acme_eab_kid acme_eab_key_file cluster
		cluster_key_file cluster_password_file cluster_ca_file
		cluster_cert_file cluster_start cluster_name cluster_namespace
		cluster_health_quorum program proxy_to backend proxy_session_timeout
		proxy_max_sessions proxy_answers proxy_answer_timeout
		proxy_connect_timeout transparent backend_proxy_protocol
		backend_proxy_tlvs backend_proxy_received backend_tls backend_ca_file
		backend_ca_path backend_crl_file backend_verify backend_pin
		backend_servername backend_verify_name backend_cert_file
		backend_key_file backend_passwd_file backend_alpn backend_version
		backend_cipher_list backend_curves backend_starttls http app http_root
		http_redirect enable_dispatch timeout_header max_header_size
		server_revision default_content_type allow_body_on_all_statuses
		access_log_format echo echo_control exec_stderr exec_env exec_pipes
		exec_dir exec_substitute exec_timeout exec_umask exec_nice
		exec_max_cpu exec_max_memory exec_max_file_size exec_max_files
		exec_max_processes exec_max_core exec_cgroup exec_cgroup_memory
		exec_cgroup_cpu exec_cgroup_processes exec_pty exec_pty_size exec_user
		exec_group exec_spare exec_kill_after starttls max_connections
		max_servers handshake_queue max_handshakes max_handshakes_per_source
		max_handshakes_per_prefix max_per_source max_per_prefix
		connection_rate connection_rate_per_source connection_rate_per_prefix
		datagram_rate datagram_rate_per_source datagram_rate_per_prefix
		max_memory limits_shadow penalty_points penalty_time penalty_max_time
		penalty_exempt penalty_close health quiet_from max_datagrams max_line
		timeout_handshake defer_accept timeout_first_byte timeout_hello
		timeout_first_request timeout_idle timeout_write min_read_rate
		min_write_rate min_rate_window timeout_life grace grace_spread listen
		reuse_port freebind tcp_keepalive unix_mode unix_owner unix_group
		udp_recv_len udp_broadcast allow deny cidr_allow cidr_deny allow_file
		deny_file cidr_allow_file cidr_deny_file reverse_lookups
		double_reverse_lookups unix_allow_user unix_allow_group access_shadow
		rules_close lookup_timeout lookup_ttl lookup_fail_ttl lookup_cache
		lookup_concurrency proxy_protocol proxy_protocol_from
		timeout_proxy_header SSL_allow_cn SSL_allow_dns SSL_allow_email
		SSL_allow_file SSL_allow_ip SSL_allow_ou SSL_allow_spki SSL_allow_uri
		SSL_alpn_protocols SSL_ca_file SSL_ca_path SSL_cert_dir SSL_cert_file
		SSL_check_crl SSL_cipher_list SSL_ciphersuites SSL_client_ca_file
		SSL_crl_file SSL_crl_path SSL_crl_policy SSL_ecdh_curve
		SSL_fingerprint SSL_force_fingerprint SSL_honor_cipher_order
		SSL_key_file SSL_max_getline_length SSL_mode_release_buffers
		SSL_ocsp_check SSL_ocsp_responder SSL_ocsp_staple SSL_ocsp_staple_file
		SSL_passwd_command SSL_passwd_file SSL_server SSL_session_id_context
		SSL_startHandshake SSL_ticket_key_file SSL_ticket_life
		SSL_unexpected_eof SSL_unknown_sni SSL_use_cert SSL_verify_mode
		SSL_version" -- "${cur#--}"
		;;
	*)
		((COMP_CWORD == 1)) || return
		for i in Fork Single PreForkSimple PreFork Multiplex INET HTTP MultiType ctl convert help init version; do
			[[ ${i,,} == "${cur,,}"* ]] && COMPREPLY+=("$i")
		done
		;;
	esac
}
complete -F _netserver netserver
