//! Modules that attack. The bystanders are connections of another app.

contain! {
    fn a_module_that_traps_harms_nobody_else() { Trap }
    fn a_module_that_never_ends_harms_nobody_else() { Spin }
    fn a_module_that_recurses_harms_nobody_else() { Recursion }
    fn a_module_that_takes_all_memory_harms_nobody_else() { Memory }
    fn a_module_that_grows_its_table_harms_nobody_else() { Table }
    fn a_flood_of_sends_harms_nobody_else() { Sends }
    fn a_flood_of_publishes_harms_nobody_else() { Publishes }
    fn a_flood_of_log_lines_harms_nobody_else() { LogLines }
    fn a_flood_of_timers_harms_nobody_else() { Timers }
    fn a_flood_of_subscriptions_harms_nobody_else() { Subscriptions }
    fn a_huge_attachment_harms_nobody_else() { Attachment }
    fn a_huge_argument_harms_nobody_else() { Argument }
    fn a_statement_without_end_harms_nobody_else() { Statement }
    fn a_huge_result_harms_nobody_else() { Result }
    fn random_bytes_without_end_harm_nobody_else() { Random }
    fn a_module_that_sleeps_harms_nobody_else() { Sleep }
    fn a_module_that_keeps_a_transaction_harms_nobody_else() { Transaction }
}
