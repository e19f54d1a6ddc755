//! Clients that attack. The bystanders are connections of the same app.

contain! {
    fn a_slow_handshake_harms_nobody_else() { SlowHandshake }
    fn a_client_that_says_nothing_harms_nobody_else() { HalfOpen }
    fn a_client_that_never_reads_harms_nobody_else() { NeverReads }
    fn a_client_that_sends_single_bytes_harms_nobody_else() { SingleBytes }
    fn a_giant_frame_harms_nobody_else() { GiantFrame }
    fn endless_fragments_harm_nobody_else() { Fragments }
    fn fragments_without_content_harm_nobody_else() { EmptyFragments }
    fn a_flood_of_pings_harms_nobody_else() { Pings }
    fn frames_without_a_mask_harm_nobody_else() { Unmasked }
    fn reserved_bits_harm_nobody_else() { ReservedBits }
    fn bombs_harm_nobody_else() { Bombs }
    fn a_storm_of_connections_harms_nobody_else() { Storm }
    fn requests_whose_answers_are_not_read_harm_nobody_else() { Pipelined }
    fn a_huge_head_harms_nobody_else() { HugeHead }
}
