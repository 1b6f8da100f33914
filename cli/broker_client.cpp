#include "cli/broker_client.hpp"

#include <unistd.h>

#include <algorithm>
#include <utility>

#include "common/endpoints.hpp"
#include "common/zmq_socket.hpp"
#include "schemas/codec.hpp"

namespace lockstep::cli {
namespace {

constexpr milliseconds kRepeatAfter{1'000};

/// Connects, with the key where the endpoint is on a network.
Result<void> connect_socket(zmq::socket_t& socket, const ZmqEndpoint& endpoint, const std::optional<PeerKey>& key) {
  if (auto trusted = check_broker_socket(endpoint.text()); !trusted) return trusted;
  if (key && endpoint.transport == Transport::tcp) {
    if (auto secured = secure_zmq(socket, *key); !secured) return secured;
  }
  return connect_zmq(socket, endpoint.text());
}

Message hello_message() {
  Message message;
  std::string host(256, '\0');
  if (::gethostname(host.data(), host.size() - 1) != 0) host = "unknown";
  Hello hello;
  hello.role = Role::client;
  hello.name = std::string(host.c_str());
  message.body = std::move(hello);
  return message;
}

}  // namespace

Result<BrokerClient> BrokerClient::connect(const std::string& broker, const std::string& releases,
                                           const std::optional<PeerKey>& key) {
  const auto questions = parse_endpoint(broker);
  if (!questions) return fail_from(questions.error(), "broker");
  const auto status = parse_endpoint(releases.empty() ? broker : releases);
  if (!status) return fail_from(status.error(), "releases");
  BrokerClient client;
  client.address_ = broker;
  client.context_ = std::make_unique<zmq::context_t>(1);
  client.key_ = key;
  auto dealer = open_zmq_socket(*client.context_, zmq::socket_type::dealer, kMaxFrame);
  if (!dealer) return Failure(dealer.error());
  client.questions_ = std::move(*dealer);
  auto watch = HandshakeWatch::create(*client.context_, client.questions_);
  if (!watch) return Failure(watch.error());
  client.handshakes_ = std::move(*watch);
  if (auto connected = connect_socket(client.questions_, *questions, key); !connected) return Failure(connected.error());
  if (releases.empty()) return client;
  auto subscriber = open_zmq_socket(*client.context_, zmq::socket_type::sub, kMaxFrame);
  if (!subscriber) return Failure(subscriber.error());
  client.status_ = std::move(*subscriber);
  client.status_.set(zmq::sockopt::subscribe, kStatusTopic);
  if (auto connected = connect_socket(client.status_, *status, key); !connected) return Failure(connected.error());
  return client;
}

std::optional<HandshakeFailure> BrokerClient::failed_handshake() {
  while (const auto failure = handshakes_.next()) handshake_ = failure;
  return handshake_;
}

Failure BrokerClient::no_answer(milliseconds waited) const {
  if (handshake_) return fail(ErrorCode::unavailable, explain(*handshake_, address_, key_));
  return fail(
      ErrorCode::unavailable, "broker at " + address_,
      "no answer for " + std::to_string(waited.count()) + " ms; is lockstep-broker running, and is this its address?");
}

Result<Welcome> BrokerClient::hello(milliseconds limit) {
  const auto answer = request(hello_message(), limit);
  if (!answer) return Failure(answer.error());
  const auto* welcome = std::get_if<Welcome>(&answer->body);
  if (welcome == nullptr) {
    return fail(
        ErrorCode::unavailable, "broker at " + address_,
        "answers Hello with " + std::string(type_name(answer->body)) + "; is it a lockstep broker of this version?");
  }
  return *welcome;
}

Result<Message> BrokerClient::request(Message question, milliseconds limit) {
  const TimePoint begin = Clock::now();
  send(question);
  TimePoint repeat = begin + kRepeatAfter;
  while (Clock::now() < begin + limit) {
    const bool something = wait_until(std::min(repeat, begin + limit));
    // It won't be accepted the next time either.
    if (failed_handshake() == HandshakeFailure::not_accepted) return fail(ErrorCode::refused, explain(*handshake_, address_, key_));
    if (something) {
      const auto incoming = receive();
      if (!incoming || incoming->published) continue;
      const Message& answer = incoming->message;
      const auto* refused = std::get_if<Refused>(&answer.body);
      if (refused != nullptr && refused->say_hello && !std::holds_alternative<Hello>(question.body)) {
        hello_again();  // the two arrive in this order: DEALER keeps it
        send(question);
      } else if (answer.sequence == question.sequence) {
        if (refused != nullptr) return fail(ErrorCode::refused, "the broker refuses", refused->reason);
        return answer;
      }
    }
    if (Clock::now() >= repeat) {
      send(question);
      repeat = Clock::now() + kRepeatAfter;
    }
  }
  return no_answer(limit);
}

void BrokerClient::send(Message& message) {
  if (message.sequence == 0) message.sequence = ++sequence_;
  // A full queue means that nobody has read for long: the caller's patience with the answer will tell.
  (void)send_frames(questions_, {encode(message)});
}

void BrokerClient::hello_again() {
  Message message = hello_message();
  send(message);
}

std::optional<BrokerClient::Incoming> BrokerClient::receive() {
  if (auto answer = receive_from(questions_, false)) return answer;
  return status_ ? receive_from(status_, true) : std::nullopt;
}

std::optional<BrokerClient::Incoming> BrokerClient::receive_from(zmq::socket_t& socket, bool published) {
  const std::size_t expected = published ? 2 : 1;  // topic and message, or the message alone
  while (true) {
    const auto frames = receive_frames(socket);
    if (frames.empty()) return std::nullopt;
    auto message = decode(frames.back().to_string_view());
    if (frames.size() == expected && message) return Incoming{std::move(*message), published};
    ++malformed_;
  }
}

void BrokerClient::add_to(std::vector<zmq::pollitem_t>& items) {
  items.push_back({questions_.handle(), 0, ZMQ_POLLIN, 0});
  if (status_) items.push_back({status_.handle(), 0, ZMQ_POLLIN, 0});
}

bool BrokerClient::wait_until(TimePoint end) {
  std::vector<zmq::pollitem_t> items;
  add_to(items);
  items.push_back({handshakes_.handle(), 0, ZMQ_POLLIN, 0});
  poll_until(items, end);
  return std::ranges::any_of(items, [](const zmq::pollitem_t& item) { return item.revents != 0; });
}

}  // namespace lockstep::cli
