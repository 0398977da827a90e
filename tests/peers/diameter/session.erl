%% One session of Erlang's diameter, with the strict codec of RFC 6733 and RFC 4006: initial, update, termination.
%% It knows no AVP of 3GPP, and its Service-Context-Id is none of 3GPP's.
%% erl -noshell -run session main PORT ORIGIN-HOST
-module(session).
-include_lib("diameter/include/diameter.hrl").
-export([main/1]).
-export([peer_up/3, peer_down/3, pick_peer/4, prepare_request/3, prepare_retransmit/3,
         handle_answer/4, handle_error/4, handle_request/3]).

main([Port, Host]) ->
    ok = diameter:start(),
    ok = diameter:start_service(client,
        [{'Origin-Host', Host}, {'Origin-Realm', "example.net"}, {'Vendor-Id', 0}, {'Product-Name', "erlang"},
         {'Auth-Application-Id', [4]}, {decode_format, map}, {string_decode, true},
         {application, [{alias, cc}, {dictionary, rfc4006_cc}, {module, ?MODULE}]}]),
    true = diameter:subscribe(client),
    {ok, _} = diameter:add_transport(client, {connect, [{transport_module, diameter_tcp},
        {transport_config, [{raddr, {127,0,0,1}}, {rport, list_to_integer(Port)}]}]}),
    receive {diameter_event, client, Up} when element(1, Up) =:= up -> ok after 10000 -> halt(2) end,
    Session = diameter:session_id(Host),
    Asked = [#{'Requested-Service-Unit' => [#{}], 'Rating-Group' => [10]}],
    Used = #{'CC-Total-Octets' => [3000000]},
    Reported = [#{'Requested-Service-Unit' => [#{}], 'Used-Service-Unit' => [Used], 'Rating-Group' => [10]}],
    Last = [#{'Used-Service-Unit' => [Used], 'Rating-Group' => [10]}],
    charge(Session, 1, 0, #{'Multiple-Services-Credit-Control' => Asked, 'Multiple-Services-Indicator' => [1]}),
    charge(Session, 2, 1, #{'Multiple-Services-Credit-Control' => Reported}),
    charge(Session, 3, 2, #{'Multiple-Services-Credit-Control' => Last, 'Termination-Cause' => [1]}),
    diameter:stop_service(client),
    halt(0).

charge(Session, Type, Number, More) ->
    Base = #{'Session-Id' => Session, 'Destination-Realm' => "example.net", 'Auth-Application-Id' => 4,
             'Service-Context-Id' => "sessions@example.net", 'CC-Request-Type' => Type, 'CC-Request-Number' => Number,
             'Subscription-Id' => [#{'Subscription-Id-Type' => 0, 'Subscription-Id-Data' => "34600000001"}]},
    case diameter:call(client, cc, ['CCR' | maps:merge(Base, More)], [{timeout, 10000}]) of
        {ok, Answer} -> io:format("answer ~w result ~w errors ~w slices ~w~n",
            [Type, maps:get('Result-Code', Answer), get_errors(Answer),
             length(maps:get('Multiple-Services-Credit-Control', Answer, []))]);
        Other -> io:format("wrong ~p~n", [Other]), halt(1)
    end.

get_errors(Answer) -> maps:get(errors, Answer, []).

peer_up(_, _, State) -> State.
peer_down(_, _, State) -> State.
pick_peer([Peer | _], _, _, _) -> {ok, Peer};
pick_peer([], _, _, _) -> false.
prepare_request(#diameter_packet{msg = ['CCR' | Avps]}, _, {_, Caps}) ->
    #diameter_caps{origin_host = {Host, _}, origin_realm = {Realm, _}} = Caps,
    {send, ['CCR' | Avps#{'Origin-Host' => Host, 'Origin-Realm' => Realm}]}.
prepare_retransmit(Packet, _, _) -> {send, Packet}.
handle_answer(#diameter_packet{msg = ['CCA' | Avps], errors = Errors}, _, _, _) -> {ok, Avps#{errors => Errors}};
handle_answer(#diameter_packet{msg = [_ | Avps], errors = Errors}, _, _, _) -> {ok, Avps#{errors => Errors}}.
handle_error(Reason, _, _, _) -> {error, Reason}.
handle_request(_, _, _) -> discard.
