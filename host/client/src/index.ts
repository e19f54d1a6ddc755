export { connect } from "./hassock.js";
export type * from "./types.js";
