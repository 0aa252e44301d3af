// Only the node is used: the contracts are Vyper and are compiled elsewhere.
// GENESIS_TIMESTAMP (seconds) sets the clock of the first block, as `anvil --timestamp` does.
const genesis = process.env.GENESIS_TIMESTAMP;

module.exports = {
  networks: {
    hardhat: {
      chainId: 31337,
      hardfork: "cancun",
      blockGasLimit: 60000000,
      initialDate: genesis ? new Date(1000 * Number(genesis)).toISOString() : undefined,
    },
  },
};
