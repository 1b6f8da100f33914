#include "tests/unit/cli/fake_broker.hpp"

#include <algorithm>
#include <zmq.hpp>

#include "schemas/codec.hpp"

namespace lockstep::cli {

FakeBroker::FakeBroker(const std::string& folder, Handler handler)
    : endpoint_("ipc://" + folder + "/broker.sock"), handler_(std::move(handler)), thread_([this] { run(); }) {
  while (!ready_) std::this_thread::yield();
}

FakeBroker::~FakeBroker() {
  stop_ = true;
  thread_.join();
}

std::vector<Message> FakeBroker::seen() const {
  const std::lock_guard lock(mutex_);
  return seen_;
}

void FakeBroker::run() {
  zmq::context_t context;
  zmq::socket_t router(context, zmq::socket_type::router);
  zmq::socket_t pub(context, zmq::socket_type::pub);
  for (auto* socket : {&router, &pub}) socket->set(zmq::sockopt::linger, 0);
  router.bind(broker());
  pub.bind(releases());
  ready_ = true;
  while (!stop_) {
    zmq::pollitem_t item{router.handle(), 0, ZMQ_POLLIN, 0};
    zmq::poll(&item, 1, std::chrono::milliseconds(5));
    zmq::message_t peer;
    zmq::message_t frame;
    if (silent_ || !router.recv(peer, zmq::recv_flags::dontwait) || !router.recv(frame)) continue;
    const auto question = decode(frame.to_string_view());
    if (!question) continue;
    {
      const std::lock_guard lock(mutex_);
      seen_.push_back(*question);
    }
    Answers answers;
    handler_(*question, answers);
    for (const auto& message : answers.reply) {
      router.send(zmq::buffer(peer.to_string_view()), zmq::send_flags::sndmore);
      router.send(zmq::buffer(encode(message)));
    }
    for (const auto& message : answers.publish) {
      pub.send(zmq::buffer(kStatusTopic), zmq::send_flags::sndmore);
      pub.send(zmq::buffer(encode(message)));
    }
  }
}

Message answer_to(const Message& question, Body body) {
  return Message{question.round, question.group, question.member, question.sequence, std::move(body)};
}

void FakeRound::handle(const Message& question, FakeBroker::Answers& answers) {
  const auto reply = [&](Body body) { answers.reply.push_back(answer_to(question, std::move(body))); };
  if (std::holds_alternative<Hello>(question.body)) return reply(Welcome{"fake", 500, 3000, 0});
  if (say_hello_once) {
    say_hello_once = false;
    return reply(Refused{"say Hello first", true});
  }
  if (const auto* open = std::get_if<OpenRound>(&question.body)) {
    if (open->lease_ms == 1) return reply(Refused{"no such lease", false});
    status_ = RoundStatus{};
    status_.operation = open->operation;
    for (const auto& member : open->members) {
      status_.members.emplace_back();
      status_.members.back().id = member.id;
      if (arrived) status_.members.back().phases[0] = {1'000, -1, -1};
      if (dumping) status_.members.back().phases[kLock] = {1'000, 2'000, 3'000};
      if (forgets_times) status_.members.back().phases[1] = {1'000, 2'000, 3'000};
    }
    return reply(status_);
  }
  if (forgotten) return reply(Refused{"no round " + question.round.value, false});
  if (const auto* abort = std::get_if<AbortRound>(&question.body);
      abort != nullptr && status_.state == RoundState::open) {
    status_.state = RoundState::aborted;
    status_.reason = abort->reason;
  }
  if (const auto* result = std::get_if<MemberResult>(&question.body)) {
    if (ignores_first_result) {
      ignores_first_result = false;
      return;
    }
    const auto member = std::find_if(status_.members.begin(), status_.members.end(),
                                     [&](const MemberStatus& each) { return each.id == question.member; });
    member->criu = result->ok ? CriuOutcome::succeeded : CriuOutcome::failed;
    member->detail = result->detail;
    if (!result->ok && status_.state == RoundState::open) {
      status_.state = RoundState::aborted;
      status_.reason = result->detail;
      status_.culprit = question.member;
    }
    const bool all = std::all_of(status_.members.begin(), status_.members.end(),
                                 [](const MemberStatus& each) { return each.criu == CriuOutcome::succeeded; });
    if (all && status_.state == RoundState::open) status_.state = RoundState::complete;
  }
  if (holds && std::holds_alternative<GetRound>(question.body) && status_.hold_begin_us < 0) status_.hold_begin_us = 1;
  if (const auto* report = std::get_if<CommandReport>(&question.body)) {
    const auto member = std::find_if(status_.members.begin(), status_.members.end(),
                                     [&](const MemberStatus& each) { return each.id == question.member; });
    member->commands.insert(member->commands.end(), report->commands.begin(), report->commands.end());
    if (report->state == CommandState::failed && status_.state == RoundState::open) {
      status_.state = RoundState::aborted;
      status_.reason = "command failed: " + report->commands.back().output;
    }
    if (report->moment == CommandMoment::frozen && report->state == CommandState::succeeded) status_.hold_end_us = 2;
  }
  if (forgets_times && status_.state == RoundState::aborted) {
    for (auto& member : status_.members) member.phases = {};
  }
  if (!publishes) return reply(status_);
  answers.publish.push_back(Message{question.round, question.group, {}, 1, status_});
  if (!std::holds_alternative<GetRound>(question.body)) {
    // The question is acknowledged with what was known before it: the news comes over PUB alone.
    RoundStatus old = status_;
    old.state = RoundState::open;
    for (auto& member : old.members) member.criu = CriuOutcome::running;
    reply(old);
  }
}

}  // namespace lockstep::cli
