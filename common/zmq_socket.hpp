/// libzmq's sockets with the settings that lockstep never does without, and with results instead of exceptions.
/// One thread for each socket.
#pragma once

#include <string>
#include <string_view>
#include <vector>
#include <zmq.hpp>

#include "common/clock.hpp"
#include "common/key_files.hpp"
#include "common/result.hpp"

namespace lockstep {

/// Makes a socket that never blocks its owner for long and never takes more than `max_message` bytes at once: bounded
/// linger and handshake, limits on queues and sizes. libzmq's own heartbeats stay off: under backpressure they have
/// aborted processes (libzmq issues 3937, 4767).
[[nodiscard]] Result<zmq::socket_t> open_zmq_socket(zmq::context_t& context, zmq::socket_type type,
                                                    std::size_t max_message);

/// How the endpoints that are bound from now on know who connects. The broker's ZAP handler (broker/zap_handler.hpp) gets
/// `domain` with each question; without it nobody gets in. It is not empty.
/// `secret_key`: what connects has to speak CURVE; empty: plain.
[[nodiscard]] Result<void> guard_zmq(zmq::socket_t& socket, const std::string& domain, const std::string& secret_key);
/// What is connected from now on is encrypted, and is spoken to only if it proves to be `key`'s broker.
[[nodiscard]] Result<void> secure_zmq(zmq::socket_t& socket, const PeerKey& key);

[[nodiscard]] Result<void> bind_zmq(zmq::socket_t& socket, const std::string& endpoint);
[[nodiscard]] Result<void> connect_zmq(zmq::socket_t& socket, const std::string& endpoint);

enum class Sent { yes, queue_full, no_such_peer };

/// Sends all frames or none, without waiting.
[[nodiscard]] Sent send_frames(zmq::socket_t& socket, const std::vector<std::string_view>& frames);

/// Takes one message, without waiting: its frames; none when nothing is there.
[[nodiscard]] std::vector<zmq::message_t> receive_frames(zmq::socket_t& socket);

/// Waits until one of the items is ready or `until` has come. A signal ends the wait early.
void poll_until(std::vector<zmq::pollitem_t>& items, TimePoint until);

}  // namespace lockstep
