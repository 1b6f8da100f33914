// The kernel's answers to a socket table dump: parse_inet_diag(). The pieces are datagrams.
#include "agent/kernel/inet_diag_reply.hpp"
#include "schemas/endpoint_text.hpp"
#include "tests/fuzz/input.hpp"

int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace lockstep;
  constexpr std::uint32_t kSequence = 1;
  fuzz::Pieces input(fuzz::view_of(data, size));
  const InodeSet wanted{0, 1, 0x41414141};
  const bool some = input.byte() % 2 != 0;
  SocketTable table;
  while (!input.empty()) {
    const fuzz::Copy datagram(input.piece());
    const auto progress = parse_inet_diag(datagram.view(), kSequence, some ? &wanted : nullptr, table);
    if (!progress || progress->done) break;
  }
  for (const Socket& socket : table) {
    fuzz::expect(socket.state >= TcpState::established && socket.state <= TcpState::new_syn_recv, "a state is known");
    (void)connection_text(socket);
  }
  return 0;
}
