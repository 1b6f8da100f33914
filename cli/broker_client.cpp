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

Result<zmq::socket_t> open_socket(zmq::context_t& context, zmq::socket_type type, const ZmqEndpoint& endpoint) {
  auto socket = open_zmq_socket(context, type, kMaxFrame);
  if (!socket) return socket;
  if (type == zmq::socket_type::sub) socket->set(zmq::sockopt::subscribe, kStatusTopic);
  if (auto connected = connect_zmq(*socket, endpoint.text()); !connected) return Failure(connected.error());
  return socket;
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

Result<BrokerClient> BrokerClient::connect(const std::string& broker, const std::string& releases) {
  const auto questions = parse_endpoint(broker);
  if (!questions) return fail_from(questions.error(), "broker");
  const auto status = parse_endpoint(releases.empty() ? broker : releases);
  if (!status) return fail_from(status.error(), "releases");
  BrokerClient client;
  client.address_ = broker;
  client.context_ = std::make_unique<zmq::context_t>(1);
  auto dealer = open_socket(*client.context_, zmq::socket_type::dealer, *questions);
  if (!dealer) return Failure(dealer.error());
  client.questions_ = std::move(*dealer);
  if (releases.empty()) return client;
  auto subscriber = open_socket(*client.context_, zmq::socket_type::sub, *status);
  if (!subscriber) return Failure(subscriber.error());
  client.status_ = std::move(*subscriber);
  return client;
}

Failure BrokerClient::no_answer(milliseconds waited) const {
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
    if (wait_until(std::min(repeat, begin + limit))) {
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
  poll_until(items, end);
  return std::ranges::any_of(items, [](const zmq::pollitem_t& item) { return item.revents != 0; });
}

}  // namespace lockstep::cli
