#include "cli/verify_images.hpp"

#include <algorithm>
#include <optional>

#include "cli/images/connection_pairs.hpp"
#include "cli/images/record_check.hpp"
#include "cli/preflight.hpp"

namespace lockstep::cli {
namespace {

using images::EndRef;
using images::MemberEnds;
using images::TcpImages;

void append(std::vector<std::string>& to, std::vector<std::string> lines) {
  std::move(lines.begin(), lines.end(), std::back_inserter(to));
}

/// What one folder holds.
struct Folder {
  std::optional<Record> record;
  TcpImages images;
};

Result<Folder> read_folder(const std::string& path, CutSummary& summary) {
  auto tcp = images::read_tcp_images(path);
  if (!tcp) return Failure(tcp.error());
  Folder folder;
  folder.images = std::move(*tcp);
  append(summary.problems, folder.images.problems);
  if (auto record = read_record(path); record) {
    folder.record = std::move(*record);
  } else {
    summary.problems.push_back(record.error().message());
  }
  if (folder.images.tcp_close) {
    summary.remarks.push_back(path + ": was dumped with --tcp-close: its " +
                              std::to_string(folder.images.unsaved.size()) + " connections come back closed");
  }
  if (folder.images.stale != 0) {
    summary.remarks.push_back(path + ": " + std::to_string(folder.images.stale) +
                              " tcp-stream images belong to no socket; an earlier dump has left them");
  }
  return folder;
}

/// Where the record says that an end is internal, there has to be another one.
void check_lone_ends(const std::vector<Folder>& folders, const std::vector<MemberEnds>& members,
                     const images::Pairing& pairing, CutSummary& summary) {
  std::vector<std::vector<images::TcpEnd>> alone(members.size());
  for (const auto* refs : {&pairing.external, &pairing.ambiguous}) {
    for (const EndRef& ref : *refs) alone[ref.member].push_back(members[ref.member].ends[ref.index]);
  }
  for (std::size_t i = 0; i < folders.size(); ++i) {
    if (folders[i].record) append(summary.problems, images::compare_with_labels(*folders[i].record, alone[i]));
  }
}

/// Pairs all ends and checks each pair. Takes the ends out of the folders.
void check_connections(std::vector<Folder>& folders, CutSummary& summary) {
  std::vector<MemberEnds> members;
  for (Folder& folder : folders) {
    MemberEnds& member = members.emplace_back();
    member.ends = std::move(folder.images.ends);
    if (folder.record) member.pod = folder.record->pod;
    if (folder.record) member.addresses = folder.record->addresses;
  }
  const images::Pairing pairing = images::pair_ends(members);
  const auto end_of = [&members](const EndRef& ref) { return members[ref.member].ends[ref.index]; };
  for (const auto& pair : pairing.internal) {
    const images::TcpEnd a = end_of(pair.a);
    const images::TcpEnd b = end_of(pair.b);
    summary.connections.push_back(
        {pair.a.member, pair.b.member, a, b, pair.translated, images::check_connection(a, b)});
  }
  summary.external = pairing.external.size();
  summary.ambiguous = pairing.ambiguous.size();
  summary.opening = pairing.opening.size();
  summary.closed = pairing.closed.size();
  check_lone_ends(folders, members, pairing, summary);
  if (summary.ambiguous != 0) {
    summary.remarks.push_back("the other ends of " + std::to_string(summary.ambiguous) +
                              " ends are ambiguous: pods share addresses");
  }
}

}  // namespace

std::size_t CutSummary::misfits() const {
  return static_cast<std::size_t>(
      std::count_if(connections.begin(), connections.end(),
                    [](const CutConnection& connection) { return !connection.check.fits(); }));
}

std::uint64_t CutSummary::bytes_in_flight() const {
  std::uint64_t bytes = 0;
  for (const auto& connection : connections) {
    bytes += std::uint64_t{connection.check.forth.in_flight} + connection.check.back.in_flight;
  }
  return bytes;
}

Result<CutSummary> verify_images(const std::vector<std::string>& folders) {
  CutSummary summary;
  std::vector<Folder> read;
  for (const std::string& path : folders) {
    auto folder = read_folder(path, summary);
    if (!folder) return Failure(folder.error());
    const MemberId id = folder->record ? folder->record->member : MemberId();
    summary.members.push_back({id, path, folder->images.ends.size() + folder->images.unsaved.size()});
    read.push_back(std::move(*folder));
  }
  std::vector<Record*> open;
  for (Folder& folder : read) open.push_back(folder.record ? &*folder.record : nullptr);
  append(summary.problems, images::complete_records(folders, open));
  std::vector<const Record*> records;
  for (const Folder& folder : read) {
    records.push_back(folder.record ? &*folder.record : nullptr);
    const bool whole = folder.record && !folder.record->conditional;
    if (whole) append(summary.problems, images::compare_with_record(*folder.record, folder.images));
    if (folder.record && summary.round.empty()) {
      summary.round = folder.record->round;
      summary.group = folder.record->group;
    }
  }
  append(summary.problems, images::check_round(folders, records));
  check_connections(read, summary);
  return summary;
}

}  // namespace lockstep::cli
