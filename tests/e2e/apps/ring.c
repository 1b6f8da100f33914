/* An Open MPI job: all ranks add up a number and the round's, and each checks the sum. What a rank has seen done goes
 * into its ledger (tests/e2e/apps/client/ledger_file.hpp): ring FOLDER. It ends after the round in which rank 0 finds a
 * file `stop` in the folder. */
#include <fcntl.h>
#include <mpi.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

struct entry {
  uint32_t rank;
  uint32_t sequence;
  int64_t time_us;
};

static int note(int ledger, int rank, uint32_t sequence) {
  struct timespec now;
  struct entry entry;
  clock_gettime(CLOCK_REALTIME, &now);
  entry.rank = (uint32_t)rank;
  entry.sequence = sequence;
  entry.time_us = (int64_t)now.tv_sec * 1000000 + now.tv_nsec / 1000;
  return write(ledger, &entry, sizeof entry) == sizeof entry;
}

int main(int argc, char** argv) {
  static int64_t block[4096];
  static int64_t sums[4096];
  char path[4096];
  int rank, size, ledger, stop = 0;
  uint32_t sequence;

  MPI_Init(&argc, &argv);
  MPI_Comm_rank(MPI_COMM_WORLD, &rank);
  MPI_Comm_size(MPI_COMM_WORLD, &size);
  if (argc != 2) MPI_Abort(MPI_COMM_WORLD, 2);
  snprintf(path, sizeof path, "%s/rank%d.ledger", argv[1], rank);
  ledger = open(path, O_WRONLY | O_CREAT | O_EXCL | O_APPEND, 0644);
  if (ledger < 0) MPI_Abort(MPI_COMM_WORLD, 3);
  snprintf(path, sizeof path, "%s/stop", argv[1]);

  for (sequence = 1; !stop; ++sequence) {
    const int64_t expected = (int64_t)size * (size - 1) / 2 + (int64_t)size * sequence;
    int i;
    for (i = 0; i < 4096; ++i) block[i] = rank + (int64_t)sequence;
    MPI_Allreduce(block, sums, 4096, MPI_INT64_T, MPI_SUM, MPI_COMM_WORLD);
    for (i = 0; i < 4096; ++i) {
      if (sums[i] == expected) continue;
      fprintf(stderr, "rank %d: round %u: element %d is %lld, not %lld\n", rank, sequence, i, (long long)sums[i],
              (long long)expected);
      MPI_Abort(MPI_COMM_WORLD, 4);
    }
    if (!note(ledger, rank, sequence)) MPI_Abort(MPI_COMM_WORLD, 5);
    if (rank == 0) stop = access(path, F_OK) == 0;
    MPI_Bcast(&stop, 1, MPI_INT, 0, MPI_COMM_WORLD);
    usleep(5000);
  }
  MPI_Barrier(MPI_COMM_WORLD);
  if (rank == 0) printf("finished: %u rounds\n", sequence - 1);
  fflush(stdout);
  MPI_Finalize();
  return 0;
}
